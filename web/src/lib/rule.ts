/**
 * One rule inside the text of a blueprint: found, read and changed line by line.
 *
 * Invariant: only the lines of the changed keys differ; comments and order stay.
 */

export interface Rule {
  name: string;
  /** Lines from and to (not included), counted from 0. */
  from: number;
  to: number;
  /** What stands behind the `=`, without quotation marks. */
  keys: Record<string, string>;
}

const assignment = /^(\s*)([a-z_]+)(\s*=\s*)"((?:[^"\\]|\\.)*)"(.*)$/;

export function findRule(text: string, name: string): Rule | null {
  const lines = text.split('\n');
  const head = new RegExp(`^\\s*\\[\\s*alarm\\s*\\.\\s*"?${name.replaceAll(/\W/g, '\\$&')}"?\\s*\\]`);
  const from = lines.findIndex((line) => head.test(line));
  if (from < 0) return null;
  const rest = lines.slice(from + 1).findIndex((line) => /^\s*\[/.test(line));
  const to = rest < 0 ? lines.length : from + 1 + rest;
  const keys: Record<string, string> = {};
  for (const line of lines.slice(from + 1, to)) {
    const found = assignment.exec(line);
    if (found) keys[found[2]!] = found[4]!.replaceAll(/\\(["\\])/g, '$1');
  }
  return { name, from, to, keys };
}

/** The text with these keys of the rule set; an empty value takes a key out. */
export function withKeys(text: string, rule: Rule, values: Record<string, string>): string {
  const lines = text.split('\n');
  const own = lines.slice(rule.from + 1, rule.to);
  for (const [key, wanted] of Object.entries(values)) {
    if ((rule.keys[key] ?? '') === wanted) continue;
    const value = wanted.replaceAll(/["\\]/g, '\\$&');
    const at = own.findIndex((line) => assignment.exec(line)?.[2] === key);
    const found = at < 0 ? null : assignment.exec(own[at]!)!;
    if (found && value === '') own.splice(at, 1);
    else if (found) own[at] = `${found[1]}${found[2]}${found[3]}"${value}"${found[5]}`;
    else if (value !== '') own.splice(afterWhen(own), 0, `${key.padEnd(8)} = "${value}"`);
  }
  return [...lines.slice(0, rule.from + 1), ...own, ...lines.slice(rule.to)].join('\n');
}

function afterWhen(lines: string[]): number {
  const at = lines.findIndex((line) => assignment.exec(line)?.[2] === 'when');
  return at < 0 ? 0 : at + 1;
}
