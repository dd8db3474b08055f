/**
 * Desired against reported, line by line, and the text of a setting as a value.
 */
import type { Setting, Twin, Value } from '../api.ts';

export type DiffLine =
  | { kind: 'same'; name: string; value: Setting }
  | { kind: 'reported'; name: string; value: Setting | null }
  | { kind: 'desired'; name: string; value: Setting };

/** Reported too, but nothing that can be wanted. */
const facts = ['firmware', 'hardware'];

/** A setting that is as wanted is one line; one that is not yet is two. */
export function diff(twin: Pick<Twin, 'reported' | 'desired' | 'pending'>): DiffLine[] {
  const reported = Object.keys(twin.reported).filter((name) => !facts.includes(name));
  const names = [...new Set([...reported, ...Object.keys(twin.desired)])].sort();
  return names.flatMap((name): DiffLine[] => {
    const reported = twin.reported[name] ?? null;
    const desired = twin.desired[name] ?? null;
    // The server decides what is pending: it knows that 60 s and 1 min are the same.
    if (desired && twin.pending.includes(name)) {
      return [
        { kind: 'reported', name, value: reported },
        { kind: 'desired', name, value: desired },
      ];
    }
    return [{ kind: 'same', name, value: (reported ?? desired)! }];
  });
}

/** What a person typed: a number, yes or no, `null` for "no longer wanted", else text. */
export function readValue(text: string): Value {
  const trimmed = text.trim();
  if (trimmed === '' || trimmed === 'null') return null;
  if (/^-?\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed);
  if (trimmed === 'true' || trimmed === 'yes') return true;
  if (trimmed === 'false' || trimmed === 'no') return false;
  return trimmed;
}
