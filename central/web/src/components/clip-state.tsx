/** How far an event's clip has come from the vehicle. */
import type { Clip } from '../api/types.ts';
import { formatBytes } from '../format/format-value.ts';

/** Share of the clip that has arrived, 0 to 1; null when its size is unknown. */
export function clipShare(clip: Clip): number | null {
  if (clip.state === 'ready') return 1;
  return clip.bytes === null || clip.bytes === 0 ? null : Math.min(1, (clip.received_bytes ?? 0) / clip.bytes);
}

export function ClipState({ clip }: { readonly clip: Clip | null }) {
  if (clip?.state === 'lost') {
    return (
      <span className="clip-lost nowrap" title={clip.lost_reason}>
        lost
      </span>
    );
  }
  if (clip === null || clip.state === 'pending') return <span className="faint">waiting</span>;
  if (clip.state === 'ready') return <span className="nowrap">{formatBytes(clip.bytes)}</span>;
  const share = clipShare(clip);
  return <span className="nowrap">{share === null ? 'arriving' : `${Math.floor(share * 100)}\u00a0% arrived`}</span>;
}
