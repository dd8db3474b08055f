/**
 * The filter language, as the API and the command line have it: `kind:box status:silent
 * fw:<2.4.1 temperature:>8 -tag:lab word`. The server decides what matches; this file only reads
 * the text for the controls around the field.
 *
 * Invariant: `write(read(text).terms)` filters the same; any text is read without an exception.
 */

export type Operator = '' | '<' | '<=' | '>' | '>=';
export interface Term {
  /** `null` for a free word, which is looked for in name and id. */
  key: string | null;
  operator: Operator;
  value: string;
  /** `-term`: devices for which it does not hold. */
  not: boolean;
  /** Where the term stands in the text. */
  from: number;
  to: number;
}
export interface Filter {
  terms: Term[];
  /** What is wrong, in words and with its place; empty when the text can be sent. */
  errors: { from: number; to: number; words: string }[];
}

export const filter_chars_max = 1000;

export function read(text: string): Filter {
  const filter: Filter = { terms: [], errors: [] };
  if (text.length > filter_chars_max) {
    filter.errors.push({ from: filter_chars_max, to: text.length, words: `longer than ${filter_chars_max} characters` });
    return filter;
  }
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text[at]!)) {
      at += 1;
      continue;
    }
    at = readTerm(text, at, filter);
  }
  return filter;
}

function readTerm(text: string, from: number, filter: Filter): number {
  const not = /^-\S/.test(text.slice(from));
  const begin = not ? from + 1 : from;
  const found = /^([A-Za-z][\w.-]*):(<=|>=|<|>)?/.exec(text.slice(begin));
  const key = found ? found[1]! : null;
  const operator = (found?.[2] ?? '') as Operator;
  const start = begin + (found ? found[0].length : 0);
  const [value, end, closed] = readValue(text, start);
  if (!closed) filter.errors.push({ from: start, to: end, words: 'the quotation mark is not closed' });
  else if (key !== null && value === '') {
    filter.errors.push({ from, to: end, words: `${key}: needs a value` });
  } else filter.terms.push({ key, operator, value, not, from, to: end });
  return Math.max(end, from + 1);
}

function readValue(text: string, from: number): [string, number, boolean] {
  if (text[from] === '"') {
    const close = text.indexOf('"', from + 1);
    if (close < 0) return [text.slice(from + 1), text.length, false];
    return [text.slice(from + 1, close), close + 1, true];
  }
  let end = from;
  while (end < text.length && !/\s/.test(text[end]!)) end += 1;
  return [text.slice(from, end), end, true];
}

export function write(terms: Pick<Term, 'key' | 'operator' | 'value' | 'not'>[]): string {
  return terms
    .map(({ key, operator, value, not }) => {
      const quoted = /\s/.test(value) || value === '' ? `"${value}"` : value;
      return `${not ? '-' : ''}${key === null ? quoted : `${key}:${operator}${quoted}`}`;
    })
    .join(' ');
}

export function has(text: string, key: string, value: string): boolean {
  return read(text).terms.some((term) => plain(term, key) && term.value === value);
}

/** Sets `key:value` in place of another plain value of that key, or takes it out again. */
export function toggle(text: string, key: string, value: string): string {
  const { terms } = read(text);
  const others = terms.filter((term) => !plain(term, key));
  if (has(text, key, value)) return write(others);
  return write([...others, { key, operator: '', value, not: false }]);
}

function plain(term: Term, key: string): boolean {
  return term.key === key && term.operator === '' && !term.not;
}

export function without(text: string, key: string): string {
  return write(read(text).terms.filter((term) => term.key !== key));
}
