/** The chosen rows on one axis with one cursor, their overview, transport, statistics and the list of what there is. */
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react';
import { Empty } from '../../components/states.tsx';
import { paletteOf, spectrumColours } from '../../theme/palette.ts';
import { useTheme } from '../../theme/use-theme.ts';
import type { BagEvent, BagInfo, SeriesKey, ViewAnswer } from '../reading/bag-model.ts';
import type { BagClient } from './bag-client.ts';
import { BagTransport } from './bag-transport.tsx';
import { EventLane } from './event-lane.tsx';
import { LineList } from './line-list.tsx';
import { OverviewStrip } from './overview-strip.tsx';
import { LineRow, SpectrumRow, spectrumHeight, WaveRow } from './plot-rows.tsx';
import { RulerRow } from './ruler-row.tsx';
import { SensorList } from './sensor-list.tsx';
import { SoundPlayer } from './sound-player.ts';
import { Stage } from './stage.ts';
import { StatisticsTable } from './statistics-table.tsx';
import { clockText } from './time-text.ts';
import { timelineKey, timelinePointer, useWheel } from './timeline-input.ts';
import { useSlowly } from './use-stage.ts';
import { ViewAsker } from './view-asker.ts';
import { rowsOf, rowsToBegin } from './view-rows.ts';

interface BagTimelineProps {
  readonly client: BagClient;
  readonly info: BagInfo;
  readonly events: readonly BagEvent[];
}

/** An event is shown with this much around it, when the view is much wider. */
const eventSpanS = 6;

export function BagTimeline({ client, info, events }: BagTimelineProps) {
  const theme = useTheme();
  const parts = useParts(client, info);
  const { stage, asker, player } = parts;
  const allRows = useMemo(() => rowsOf(info), [info]);
  const [chosen, setChosen] = useState(() => rowsToBegin(allRows));
  const rows = useMemo(() => allRows.filter(({ id }) => chosen.has(id)), [allRows, chosen]);
  const sounds = info.topics.filter(({ kind }) => kind === 'sound');
  const [heard, setHeard] = useState<SeriesKey | null>(sounds[0] ? { topic: sounds[0].id, field: 0 } : null);
  const [hasSpectrum, setSpectrum] = useState(true);
  const heardTopic = heard === null ? undefined : info.topics[heard.topic];
  const box = useRef<HTMLDivElement>(null);
  const strip = useStrip(client, info, heard, stage.durationS);
  const seek = (timeS: number) => {
    const wasPlaying = player.playing;
    stage.moveCursor(timeS, true);
    if (wasPlaying && heard) void player.play(heard);
  };
  const goToEvent = ({ atS }: BagEvent) => {
    if (stage.spanS > 10 * eventSpanS) stage.show(atS - eventSpanS / 3, atS + (2 * eventSpanS) / 3);
    else if (atS < stage.fromS || atS > stage.toS) stage.show(atS - stage.spanS / 3, atS + (2 * stage.spanS) / 3);
    seek(atS);
  };
  const hear = (key: SeriesKey) => {
    setHeard(key);
    if (player.playing) void player.play(key);
  };
  const toggle = () => {
    if (player.playing) player.stop();
    else if (heard) void player.play(heard);
  };
  useEffect(() => {
    const colours = Uint32Array.from(spectrumColours(paletteOf(theme)), ([red = 0, green = 0, blue = 0]) => {
      const byte = (share: number) => Math.round(share * 255);
      return ((255 << 24) | (byte(blue) << 16) | (byte(green) << 8) | byte(red)) >>> 0;
    });
    asker.series = rows.flatMap(({ series }) => series.map(({ key }) => key));
    asker.spectrum = heard !== null && hasSpectrum ? { key: heard, height: spectrumHeight, colours } : null;
    asker.width = box.current?.querySelector('.time-row-plot')?.clientWidth ?? 1000;
    asker.ask();
  }, [asker, rows, heard, hasSpectrum, theme]);
  useWidth(box, asker);
  useWheel(box, stage);
  const onKeyDown = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (target.closest('input:not([type="checkbox"], [type="radio"]), select, textarea')) return;
    const isButton = target.closest('button, summary, input, a') !== null;
    if (event.key === ' ' && !isButton && heard) toggle();
    else if (event.key === '.' || event.key === ',') stepEvent(events, stage, event.key === '.' ? 1 : -1, goToEvent);
    else if (isButton || !timelineKey(stage, event, seek)) return;
    event.preventDefault();
  };
  const choose = (id: string, on: boolean) => {
    const next = new Set(chosen);
    if (on) next.add(id);
    else next.delete(id);
    setChosen(next);
  };
  const hasLines = info.topics.some(({ kind }) => kind === 'list');
  return (
    <div className="bag-columns">
      <SensorList info={info} rows={allRows} chosen={chosen} onChoose={choose} />
      {/* biome-ignore lint/a11y/noStaticElementInteractions: keys of the slider and the buttons inside bubble up to here */}
      <div className="bag-main" onKeyDown={onKeyDown}>
        <section className="panel" aria-label="Timeline">
          <BagTransport
            stage={stage}
            player={player}
            startNs={info.startNs}
            heard={heard}
            sounds={sounds}
            onHear={hear}
            onToggle={toggle}
            hasSpectrum={hasSpectrum}
            onSpectrum={setSpectrum}
          />
          <div ref={box} className="bag-rows" {...timelinePointer(stage, seek)}>
            <OverviewStrip
              stage={stage}
              startNs={info.startNs}
              events={events}
              answer={strip}
              isSound={heard !== null}
            />
            <div className="timeline bag-timeline">
              <RulerRow stage={stage} startNs={info.startNs} />
              {events.length > 0 && (
                <EventLane stage={stage} events={events} startNs={info.startNs} onEvent={goToEvent} />
              )}
              {rows.map(
                (row) => row.kind === 'wave' && <WaveRow key={row.id} stage={stage} row={row} events={events} />,
              )}
              {heard !== null && hasSpectrum && (
                <SpectrumRow stage={stage} channel={heard.field} rateHz={heardTopic?.rateHz ?? 48_000} />
              )}
              {rows.map(
                (row) => row.kind === 'lines' && <LineRow key={row.id} stage={stage} row={row} events={events} />,
              )}
              <Cursor stage={stage} startNs={info.startNs} />
            </div>
          </div>
          {rows.length === 0 && <Empty title="Nothing is chosen">Choose sensors in the list.</Empty>}
        </section>
        <StatisticsTable client={client} stage={stage} rows={rows} startNs={info.startNs} />
        {hasLines && <LineList client={client} stage={stage} startNs={info.startNs} onGo={seek} />}
      </div>
    </div>
  );
}

function stepEvent(events: readonly BagEvent[], stage: Stage, by: 1 | -1, go: (event: BagEvent) => void): void {
  const next =
    by > 0
      ? events.find(({ atS }) => atS > stage.cursorS + 1e-3)
      : events.findLast(({ atS }) => atS < stage.cursorS - 1e-3);
  if (next) go(next);
}

/** Stage, asker and player of one bag, wired to its client. */
function useParts(client: BagClient, info: BagInfo) {
  const [parts] = useState(() => {
    const stage: Stage = new Stage(info.durationS, () => asker.spanChanged());
    const asker: ViewAsker = new ViewAsker(client, stage);
    return { stage, asker, player: new SoundPlayer(client, stage) };
  });
  useEffect(() => {
    const { stage, asker, player } = parts;
    let asksEvents = true;
    client.onView = (answer) => {
      stage.take(answer);
      // The first picture goes before everything else.
      if (asksEvents) client.askEvents();
      asksEvents = false;
    };
    return () => {
      client.onView = () => undefined;
      asker.close();
      player.stop();
      stage.close();
    };
  }, [client, parts]);
  return parts;
}

/** The picture of the whole bag: of the sound that is heard, or of the first series there is. */
function useStrip(client: BagClient, info: BagInfo, heard: SeriesKey | null, durationS: number): ViewAnswer | null {
  const [strip, setStrip] = useState<ViewAnswer | null>(null);
  const first = info.topics.find(({ kind }) => kind === 'numbers');
  const topic = heard?.topic ?? first?.id;
  const field = heard?.field ?? Math.max(0, first?.fields.findIndex(({ usual }) => usual) ?? 0);
  useEffect(() => {
    if (topic === undefined) return;
    client.onStrip = setStrip;
    const timer = setTimeout(
      () => client.strip({ fromS: 0, toS: durationS, width: 900, series: [{ topic, field }], spectrum: null }),
      200,
    );
    return () => {
      clearTimeout(timer);
      client.onStrip = () => undefined;
    };
  }, [client, topic, field, durationS]);
  return strip;
}

function useWidth(box: { readonly current: HTMLElement | null }, asker: ViewAsker): void {
  useEffect(() => {
    const plot = box.current?.querySelector('.time-row-plot');
    if (!plot) return;
    const sizes = new ResizeObserver(() => {
      if (Math.abs(asker.width - plot.clientWidth) < 8) return;
      asker.width = plot.clientWidth;
      asker.ask();
    });
    sizes.observe(plot);
    return () => sizes.disconnect();
  }, [box, asker]);
}

/** The one cursor over all rows, the line under the pointer, and the span being marked. It is where the keyboard moves. */
function Cursor({ stage, startNs }: { readonly stage: Stage; readonly startNs: string }) {
  useSlowly(stage);
  const cursor = useRef<HTMLDivElement>(null);
  const hover = useRef<HTMLDivElement>(null);
  const marked = useRef<HTMLDivElement>(null);
  useEffect(
    () =>
      stage.addPainter(() => {
        place(cursor.current, stage, stage.cursorS, stage.cursorS);
        place(hover.current, stage, stage.hoverS, stage.hoverS);
        place(marked.current, stage, stage.marked?.fromS ?? null, stage.marked?.toS ?? null);
      }),
    [stage],
  );
  return (
    <div className="bag-cursor-frame">
      <div ref={marked} className="bag-marked" />
      <div ref={hover} className="bag-hover" />
      <div
        ref={cursor}
        className="bag-cursor"
        role="slider"
        tabIndex={0}
        aria-label="Cursor"
        aria-valuemin={0}
        aria-valuemax={Number(stage.durationS.toFixed(3))}
        aria-valuenow={Number(stage.cursorS.toFixed(3))}
        aria-valuetext={clockText(startNs, stage.cursorS, 1)}
      />
    </div>
  );
}

function place(element: HTMLElement | null, stage: Stage, fromS: number | null, toS: number | null): void {
  if (element === null) return;
  const isSeen = fromS !== null && toS !== null && toS >= stage.fromS && fromS <= stage.toS;
  element.style.opacity = isSeen ? '1' : '0';
  if (!isSeen) return;
  element.style.left = `${((fromS - stage.fromS) / stage.spanS) * 100}%`;
  if (toS > fromS) element.style.width = `${((toS - fromS) / stage.spanS) * 100}%`;
}
