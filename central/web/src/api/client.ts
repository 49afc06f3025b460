/** Reads the central service's REST API: one function, JSON in, typed value or `ApiError` out. */
import { ApiError } from './api-error.ts';

interface ErrorBody {
  readonly error?: { readonly code?: string; readonly message?: string };
}

/**
 * GETs `path` (from `/api` on) and returns its JSON.
 * @throws ApiError when nothing answers (`unreachable`), the status is not 2xx, or the body is no JSON (`malformed`).
 */
export async function getJson<Body>(path: string, signal: AbortSignal): Promise<Body> {
  return await askJson(path, { signal, headers: { accept: 'application/json' } });
}

/** POSTs `content` as JSON and returns the answer's JSON; throws as `getJson` does. */
export async function postJson<Body>(path: string, content: unknown): Promise<Body> {
  const headers = { accept: 'application/json', 'content-type': 'application/json' };
  return await askJson(path, { method: 'POST', headers, body: JSON.stringify(content) });
}

async function askJson<Body>(path: string, init: RequestInit): Promise<Body> {
  const aborted = () => init.signal?.aborted === true;
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (cause) {
    if (aborted()) throw cause;
    throw new ApiError(0, 'unreachable', 'The central service does not answer.', cause);
  }
  if (!response.ok) {
    const body = (await response.json().catch(() => ({}))) as ErrorBody;
    const said = body.error?.message ?? response.statusText;
    throw new ApiError(response.status, body.error?.code ?? 'http', said || `HTTP status ${response.status}`);
  }
  try {
    return (await response.json()) as Body;
  } catch (cause) {
    if (aborted()) throw cause;
    throw new ApiError(response.status, 'malformed', `Expected JSON from ${path}, found something else.`, cause);
  }
}

/** A query string of the given values; undefined, null and empty ones are left out, arrays repeat their key. */
export function queryString(
  values: Readonly<Record<string, string | number | null | undefined | readonly string[]>>,
): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined || value === null || value === '') continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(key, String(one));
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}
