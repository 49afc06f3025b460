/** What an event is about: what the model heard and whence, how the air is, who asked, or what is wrong with the model. */
import type { CSSProperties, ReactNode } from 'react';
import type { ImpactEvent } from '../../api/types.ts';
import { LabelChip } from '../../components/badges.tsx';
import { DirectionPicture } from '../../components/direction-picture.tsx';
import { degreesWords, levelWords, placeWords, readingText } from '../../format/event-words.ts';
import { fieldMeaning } from '../../format/field-catalogue.ts';
import { formatScore, labelTitle } from '../../format/format-value.ts';

const titles = {
  impact: 'What the model heard',
  snapshot: 'A snapshot',
  air: 'The air in the cabin',
  drift: 'A warning about the model',
} as const;

export function Verdict({ event }: { readonly event: ImpactEvent }) {
  const { kind } = event;
  return (
    <section className="panel" aria-labelledby="verdict">
      <h2 id="verdict" className="panel-title">
        {titles[kind]}
      </h2>
      {kind === 'impact' ? (
        <>
          <Scores event={event} />
          <Direction event={event} />
        </>
      ) : kind === 'snapshot' ? (
        <Asked event={event} />
      ) : (
        <Found event={event} />
      )}
    </section>
  );
}

/** An event that no model heard. */
function Asked({ event }: { readonly event: ImpactEvent }) {
  return (
    <>
      <p className="verdict">
        <LabelChip label={event.label} />
      </p>
      <p className="faint">Somebody asked for these seconds. No model was asked, so there are no scores.</p>
    </>
  );
}

/** All labels' scores, highest first. */
function Scores({ event }: { readonly event: ImpactEvent }) {
  const scores = Object.entries(event.scores).toSorted(([, one], [, other]) => other - one);
  return (
    <>
      <p className="verdict">
        <LabelChip label={event.label} />
        <span className="verdict-score">{formatScore(event.score)}</span>
        <span className="faint">score of 1</span>
      </p>
      <dl className="scores">
        {scores.map(([label, score]) => (
          <div key={label}>
            <dt>{labelTitle(label)}</dt>
            <dd>
              <span className="scores-track" aria-hidden="true">
                <span
                  className={label === event.label ? 'scores-bar' : 'scores-bar scores-bar-other'}
                  style={{ '--share': score } as CSSProperties}
                />
              </span>
              <span className="number">{formatScore(score)}</span>
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

/** Whence the sound came; nothing where there was no telling. */
function Direction({ event }: { readonly event: ImpactEvent }): ReactNode {
  const { azimuth_deg: azimuthDeg, azimuth_confidence: confidence } = event;
  if (azimuthDeg === null) return null;
  return (
    <div className="direction">
      <DirectionPicture azimuthDeg={azimuthDeg} confidence={confidence} size={112} />
      <div>
        <h3 className="direction-title">Direction</h3>
        <p className="direction-place">{placeWords(azimuthDeg, confidence)}</p>
        <p className="faint">
          {degreesWords(azimuthDeg)}
          {confidence !== null && `, sure ${confidence.toFixed(2)}`}
        </p>
      </div>
    </div>
  );
}

/** What sensors showed, each value at its worst beside what was usual; of a drift, distances beside their thresholds. */
function Found({ event }: { readonly event: ImpactEvent }) {
  const level = levelWords(event);
  return (
    <>
      <p className="verdict">
        <LabelChip label={event.label} />
        {level !== '' && <span className="verdict-score">{level}</span>}
        <span className="faint">{event.ongoing ? 'it goes on' : 'it is over'}</span>
      </p>
      {event.detail !== '' && <p>{event.detail}</p>}
      {event.readings.length > 0 && <Readings event={event} />}
    </>
  );
}

function Readings({ event }: { readonly event: ImpactEvent }) {
  const [found, beside] = event.kind === 'drift' ? ['Found', 'At most'] : ['Worst', 'Usual before'];
  return (
    <table className="readings">
      <thead>
        <tr>
          <th scope="col">Measured</th>
          <th scope="col">{found}</th>
          <th scope="col">{beside}</th>
        </tr>
      </thead>
      <tbody>
        {event.readings.map(({ name, value, baseline }) => (
          <tr key={name}>
            <th scope="row">{fieldMeaning(name).label}</th>
            <td>{readingText(name, value)}</td>
            <td>{readingText(name, baseline)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
