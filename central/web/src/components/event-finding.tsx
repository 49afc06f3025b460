/** What an event is about in one line: whence an impact came, or how bad the air is. */
import type { ImpactEvent } from '../api/types.ts';
import { degreesWords, levelWords, placeWords, shortReading } from '../format/event-words.ts';
import { DirectionPicture } from './direction-picture.tsx';

export function EventFinding({ event }: { readonly event: ImpactEvent }) {
  const { azimuth_deg: azimuthDeg, azimuth_confidence: confidence, readings } = event;
  if (azimuthDeg !== null) {
    const sure = confidence === null ? '' : `, sure ${confidence.toFixed(2)}`;
    return (
      <span className="finding" title={`${degreesWords(azimuthDeg)}${sure}`}>
        <DirectionPicture azimuthDeg={azimuthDeg} confidence={confidence} size={22} />
        {placeWords(azimuthDeg, confidence)}
      </span>
    );
  }
  const words = [levelWords(event), shortReading(readings)].filter((word) => word !== '').join(', ');
  return words === '' ? <span className="faint">–</span> : <span className="finding">{words}</span>;
}
