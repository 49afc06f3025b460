/** One event: what was heard and how surely, its sound on any microphone, and all sensors around the moment. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { ApiError } from '../api/api-error.ts';
import { clipRecordingUrl, clipSoundUrl, eventQuery } from '../api/queries.ts';
import type { ImpactEvent } from '../api/types.ts';
import { clipShare } from '../components/clip-state.tsx';
import { ClockMark, clockReason } from '../components/clock-mark.tsx';
import { Icon } from '../components/icon.tsx';
import { Ago, Moment } from '../components/moment.tsx';
import { PageTitle } from '../components/page-title.tsx';
import { Empty, QueryView } from '../components/states.tsx';
import { formatUtc } from '../format/format-time.ts';
import { formatBytes, formatDuration, formatNumber, formatSeconds, labelTitle } from '../format/format-value.ts';
import { ClipTimeline } from '../player/clip-timeline.tsx';
import { Verdict } from './event/verdict.tsx';

export function EventPage({ id }: { readonly id: string }) {
  const event = useQuery(eventQuery(id));
  if (event.error instanceof ApiError && event.error.status === 404) {
    return (
      <>
        <PageTitle title="No such event" />
        <Empty title="There is no event with this id">
          <p>
            <code>{id}</code>
          </p>
          <Link href="/events">See all events</Link>
        </Empty>
      </>
    );
  }
  return (
    <>
      <p className="crumbs">
        <Link href="/events">Events</Link>
      </p>
      <div className="title-row">
        <PageTitle title={event.data ? labelTitle(event.data.label) : 'Event'} />
        {event.data && (
          <p className="title-side">
            <Link href={`/vehicles/${encodeURIComponent(event.data.vehicle)}`}>{event.data.vehicle}</Link>
            {', '}
            <Ago at={event.data.captured_at} ns={event.data.captured_at_ns} />
          </p>
        )}
      </div>
      <QueryView query={event} what="this event" rows={8}>
        {(data) => <EventBody event={data} />}
      </QueryView>
    </>
  );
}

function EventBody({ event }: { readonly event: ImpactEvent }) {
  const delayS = (Date.parse(event.received_at) - Date.parse(event.captured_at)) / 1000;
  return (
    <>
      <div className="event-columns">
        <Verdict event={event} />
        <section className="panel" aria-labelledby="facts">
          <h2 id="facts" className="panel-title">
            Facts
          </h2>
          <dl className="fact-list">
            <div>
              <dt>Time</dt>
              <dd>
                <Moment at={event.captured_at} ns={event.captured_at_ns} milliseconds />
                <br />
                <small className="faint number">{formatUtc(new Date(event.captured_at), event.captured_at_ns)}</small>
                {event.clock !== 'synchronised' && (
                  <>
                    <br />
                    <ClockMark clock={event.clock} original={event.original_captured_at} />
                    <br />
                    <small className="faint">{clockReason(event.clock, event.original_captured_at)}</small>
                  </>
                )}
              </dd>
            </div>
            <div>
              <dt>Duration</dt>
              <dd>
                {event.ongoing
                  ? `goes on${event.duration_s > 0 ? `, ${formatDuration(event.duration_s)} so far` : ''}`
                  : formatDuration(event.duration_s)}
              </dd>
            </div>
            {event.pressure_change_pa !== null && (
              <div>
                <dt>Air pressure around it</dt>
                <dd>
                  {event.pressure_change_pa > 0 && '+'}
                  {formatNumber(event.pressure_change_pa, 1)} Pa
                </dd>
              </div>
            )}
            <div>
              <dt>Reached the service</dt>
              <dd>
                {event.clock === 'unsynchronised' ? (
                  <Ago at={event.received_at} />
                ) : (
                  `${formatSeconds(delayS)} after it began`
                )}
              </dd>
            </div>
            <div>
              <dt>Model</dt>
              <dd>{event.model ? `${event.model.name} ${event.model.version}` : '–'}</dd>
            </div>
            <div>
              <dt>Event id</dt>
              <dd>
                <code>{event.id}</code>
              </dd>
            </div>
          </dl>
        </section>
      </div>
      {event.kind !== 'drift' && <Recorded event={event} />}
    </>
  );
}

function Recorded({ event }: { readonly event: ImpactEvent }) {
  const ready = event.clip?.state === 'ready';
  return (
    <section className="panel" aria-labelledby="sound">
      <div className="panel-head">
        <h2 id="sound">Sound and sensors</h2>
        {ready && (
          <p className="cluster">
            <Link className="button" href={`/bags?clip=${encodeURIComponent(event.id)}`}>
              Open as a bag
            </Link>
            <a className="button" href={clipSoundUrl(event.id)} download={`${event.id}.wav`}>
              <Icon name="download" />
              WAV, 8 ch
            </a>
            <a className="button" href={clipRecordingUrl(event.id)} download={`${event.id}.mcap`}>
              <Icon name="download" />
              MCAP, {formatBytes(event.clip?.bytes)}
            </a>
          </p>
        )}
      </div>
      {ready ? <ClipTimeline event={event} /> : <ClipPending event={event} />}
    </section>
  );
}

function ClipPending({ event }: { readonly event: ImpactEvent }) {
  const { clip } = event;
  if (clip?.state === 'lost') {
    return (
      <div className="clip-pending" role="status">
        <p className="empty-title">The clip is lost</p>
        <p className="empty-text">
          The vehicle had to give it up before it was here (<code>{clip.lost_reason}</code>). The event itself is kept.
        </p>
      </div>
    );
  }
  const share = clip === null ? null : clipShare(clip);
  return (
    <div className="clip-pending" role="status">
      <p className="empty-title">{clip?.state === 'uploading' ? 'The clip is on its way' : 'Waiting for the clip'}</p>
      <p className="empty-text">
        {clip?.state === 'uploading'
          ? `${formatBytes(clip.received_bytes)} of ${formatBytes(clip.bytes)} have arrived. The player opens by itself.`
          : `The vehicle cuts it when the moments after the event are recorded, and sends it when it can${event.kind === 'air' ? ', unless its air.clips is off' : ''}. The player opens by itself.`}
      </p>
      <progress aria-label="Clip received" {...(share === null ? {} : { value: share, max: 1 })} />
    </div>
  );
}
