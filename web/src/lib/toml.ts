/**
 * Colouring of blueprint text, line by line. Invariant: the parts of a line joined are the line.
 */

export interface Part {
  text: string;
  kind: 'plain' | 'comment' | 'string' | 'table' | 'key' | 'number';
}

const token =
  /(?<comment>#.*$)|(?<string>"(?:[^"\\]|\\.)*"?|'[^']*'?)|(?<key>[A-Za-z_][\w.-]*(?=\s*=))|(?<number>\b-?\d[\d_.]*\b|\btrue\b|\bfalse\b)/g;

/** The line with what the help of a finding proposes, such as `every = "15 min"`; null when it proposes no value. */
export function proposed(help: string | null | undefined, line: string | null | undefined): { words: string; line: string } | null {
  const found = /^(?<key>[a-z_]+) = (?<value>"[^"]*"|-?[\d.]+)/.exec(help ?? '')?.groups;
  if (!found || !line) return null;
  const there = new RegExp(`(\\b${found['key']}\\s*=\\s*)("[^"]*"|-?[\\d.]+)`);
  const changed = line.replace(there, (_all, before: string) => before + found['value']);
  return changed === line ? null : { words: `${found['key']} = ${found['value']}`, line: changed };
}

export function parts(line: string): Part[] {
  const header = /^\s*\[/.test(line);
  const found: Part[] = [];
  let at = 0;
  for (const match of line.matchAll(token)) {
    const kind = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)?.[0];
    if (match.index > at) found.push({ text: line.slice(at, match.index), kind: header ? 'table' : 'plain' });
    found.push({ text: match[0], kind: (kind ?? 'plain') as Part['kind'] });
    at = match.index + match[0].length;
  }
  if (at < line.length) found.push({ text: line.slice(at), kind: header ? 'table' : 'plain' });
  return found;
}

/** What becomes of an entry, beside its path: a sentence of the server begins with the path. */
export function saidOf({ path, words }: { path: string; words: string }): string {
  return words.startsWith(path) ? words.slice(path.length).replace(/^[:\s]+/, '') : words;
}
