/**
 * Reads server-sent events from a byte stream: a pure decoder of the text/event-stream format of the HTML standard
 * (section 9.2.6), so that keep-alive comments count as a sign of life, which `EventSource` hides.
 */

export interface ServerEvent {
  /** The event's name; `message` when none was sent. */
  readonly name: string;
  readonly data: string;
}

/** A longer unfinished event than this (in UTF-16 units) is given up, so that a broken server cannot fill memory. */
const unfinishedLimit = 1_048_576;

/**
 * Makes a decoder: called with pieces of the stream, cut anywhere, it returns the events completed by each piece, in
 * order. Comments and empty events are left out; an unfinished event over 1 Mi characters is thrown away.
 */
export function createEventStreamDecoder(): (piece: Uint8Array) => ServerEvent[] {
  const text = new TextDecoder();
  let rest = '';
  let name = '';
  let data: string[] = [];
  let size = 0;

  const takeLine = (line: string, events: ServerEvent[]): void => {
    if (line === '') {
      if (data.length > 0) events.push({ name: name || 'message', data: data.join('\n') });
      name = '';
      data = [];
      size = 0;
      return;
    }
    if (line.startsWith(':')) return;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (field === 'event') name = value;
    if (field === 'data' && size <= unfinishedLimit) {
      data.push(value);
      size += value.length;
      if (size > unfinishedLimit) data = [];
    }
  };

  return (piece) => {
    const events: ServerEvent[] = [];
    rest += text.decode(piece, { stream: true });
    for (;;) {
      const end = rest.search(/[\r\n]/);
      // A carriage return at the very end may be the first half of a line end.
      if (end < 0 || (rest[end] === '\r' && end === rest.length - 1)) break;
      const line = rest.slice(0, end);
      rest = rest.slice(end + (rest[end] === '\r' && rest[end + 1] === '\n' ? 2 : 1));
      takeLine(line, events);
    }
    if (rest.length > unfinishedLimit) rest = '';
    return events;
  };
}
