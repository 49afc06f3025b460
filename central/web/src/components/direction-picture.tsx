/** The vehicle from above, ahead is up, with a wedge towards where a sound came from: 20° to either side, as sure as it is dark. */

interface DirectionPictureProps {
  /** As in the API: 0 is ahead, +90 is left. */
  readonly azimuthDeg: number;
  /** 0 to 1. */
  readonly confidence: number | null;
  /** Width and height in px. */
  readonly size: number;
}

const centre = 50;
const outer = 46;
const halfWedgeDeg = 20;

/** The point at `radius` towards `degrees`, which count anticlockwise from above. */
function pointAt(degrees: number, radius: number): string {
  const angle = (degrees * Math.PI) / 180;
  return `${(centre - radius * Math.sin(angle)).toFixed(2)} ${(centre - radius * Math.cos(angle)).toFixed(2)}`;
}

/** Decoration: the words stand beside it. */
export function DirectionPicture({ azimuthDeg, confidence, size }: DirectionPictureProps) {
  const [from, to] = [azimuthDeg + halfWedgeDeg, azimuthDeg - halfWedgeDeg];
  const wedge = `M${centre} ${centre}L${pointAt(from, outer)}A${outer} ${outer} 0 0 1 ${pointAt(to, outer)}Z`;
  return (
    <svg className="direction-picture" viewBox="0 0 100 100" width={size} height={size} aria-hidden="true">
      <circle className="direction-ring" cx={centre} cy={centre} r={outer} />
      <path className="direction-wedge" d={wedge} style={{ opacity: 0.35 + 0.55 * (confidence ?? 0) }} />
      <path className="direction-vehicle" d="M39 34q0-10 11-10t11 10v36q0 6-6 6h-10q-6 0-6-6z" />
      <path className="direction-glass" d="M42.5 42q7.5-5 15 0l-2 5h-11z" />
    </svg>
  );
}
