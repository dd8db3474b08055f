/**
 * Parser of server-sent events (HTML Living Standard, section 9.2.6) for a fetched body.
 *
 * Invariant: any input, cut anywhere, gives the same events as the whole; it never throws.
 * The browser's `EventSource` hides comments, and the heartbeat is one: so the body is read here.
 */

export interface SseEvent {
  event: string;
  data: string;
  id: string | null;
}

/** A line longer than this is dropped: a server never sends one, a broken proxy may. */
export const line_chars_max = 1_000_000;

export class SseParser {
  #rest = '';
  #event = '';
  #data: string[] = [];
  #id: string | null = null;
  #skipFeed = false;

  /** Events completed by this chunk. */
  push(chunk: string): SseEvent[] {
    const found: SseEvent[] = [];
    let text = this.#rest + chunk;
    if (this.#skipFeed && text.startsWith('\n')) text = text.slice(1);
    this.#skipFeed = false;
    let at = 0;
    for (;;) {
      const end = lineEnd(text, at);
      if (end < 0) break;
      this.#line(text.slice(at, end), found);
      at = end + 1;
      if (text[end] !== '\r') continue;
      // CRLF may be cut between the two; the LF is then the first of the next chunk.
      if (at < text.length) at += text[at] === '\n' ? 1 : 0;
      else this.#skipFeed = true;
    }
    this.#rest = text.slice(at);
    if (this.#rest.length > line_chars_max) this.#rest = '';
    return found;
  }

  #line(line: string, found: SseEvent[]): void {
    if (line === '') {
      if (this.#data.length > 0) {
        found.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id });
      }
      this.#event = '';
      this.#data = [];
      return;
    }
    if (line.startsWith(':')) return;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') this.#event = value;
    else if (field === 'data') this.#data.push(value);
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
  }
}

function lineEnd(text: string, from: number): number {
  for (let index = from; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 10 || code === 13) return index;
  }
  return -1;
}
