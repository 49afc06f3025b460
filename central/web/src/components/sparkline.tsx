/** A word-sized line of recent values, without axes; what it shows is said in the text beside it. */

interface SparklineProps {
  /** Milliseconds since 1970, rising; same length as `values`. */
  readonly t: readonly number[];
  readonly values: readonly (number | null)[];
}

const width = 120;
const height = 28;

/** The line as SVG path data in a box of `width` × `height`; gaps where values are null. */
function sparklinePath(t: readonly number[], values: readonly (number | null)[]): string {
  const known = values.filter((value): value is number => value !== null);
  const start = t[0];
  const end = t.at(-1);
  if (known.length < 2 || start === undefined || end === undefined || end <= start) return '';
  const low = Math.min(...known);
  const high = Math.max(...known);
  let path = '';
  let pen = 'M';
  values.forEach((value, index) => {
    const at = t[index];
    if (value === null || at === undefined) {
      pen = 'M';
      return;
    }
    const x = ((at - start) / (end - start)) * width;
    const y = high === low ? height / 2 : 2 + (1 - (value - low) / (high - low)) * (height - 4);
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = 'L';
  });
  return path;
}

export function Sparkline({ t, values }: SparklineProps) {
  return (
    <svg className="sparkline" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={sparklinePath(t, values)} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
