/** Fetches one channel of an event's clip as a file in memory, once. */
import { useQuery } from '@tanstack/react-query';
import { ApiError } from '../api/api-error.ts';
import { clipSoundUrl } from '../api/queries.ts';

/** About 0.5 MB a channel for 5 s at 48 kHz; kept while the page is open. */
export function useClipSound(eventId: string, channel: number) {
  return useQuery({
    queryKey: ['sound', eventId, channel],
    queryFn: async ({ signal }) => {
      let response: Response;
      try {
        response = await fetch(clipSoundUrl(eventId, channel), { signal });
      } catch (cause) {
        if (signal.aborted) throw cause;
        throw new ApiError(0, 'unreachable', 'The central service does not answer.', cause);
      }
      if (!response.ok) {
        const body = (await response.json().catch(() => ({}))) as { error?: { code?: string; message?: string } };
        const message = body.error?.message ?? (response.statusText || `HTTP status ${response.status}`);
        throw new ApiError(response.status, body.error?.code ?? 'http', message);
      }
      const sound = await response.blob();
      return new Blob([sound], { type: 'audio/wav' });
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
}
