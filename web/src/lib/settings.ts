/**
 * Desired against reported, line by line, and the text of a setting as a value.
 */
import type { Device, KindSetting, Setting, Twin, Value, Venture } from '../api.ts';
import { settingText, unitText } from './format.ts';

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

/** A setting that some of the chosen devices have, with its bounds. */
export interface Settable {
  /** Of the venture, the kind and the setting: two kinds may bound the same name differently. */
  key: string;
  kind: string;
  setting: KindSetting;
  devices: Device[];
}

export function settables(ventures: Venture[], chosen: Device[]): Settable[] {
  const all = ventures.flatMap((venture) =>
    venture.kinds.flatMap((kind) => {
      const devices = chosen.filter((one) => one.venture === venture.venture && one.kind === kind.name);
      return (kind.settings ?? [])
        .filter((setting) => setting.type !== 'position')
        .map((setting) => ({ key: `${venture.venture}/${kind.name}/${setting.name}`, kind: kind.name, setting, devices }));
    }),
  );
  return all.filter((one) => one.devices.length > 0).sort((a, b) => b.devices.length - a.devices.length);
}

/** "10 s to 1 h", "at most 8 °C", "a number in K"; what may be said of it at all. */
export function boundsText({ type, unit, min, max }: KindSetting): string {
  if (type === 'boolean') return 'yes or no';
  if (type !== 'number') return 'text';
  if (min !== null && max !== null) return `${settingText(min, unit)} to ${settingText(max, unit)}`;
  if (min !== null) return `at least ${settingText(min, unit)}`;
  if (max !== null) return `at most ${settingText(max, unit)}`;
  return unit ? `a number in ${unitText(unit)}` : 'a number';
}

const seconds: Record<string, number> = { ms: 0.001, s: 1, min: 60, h: 3600, d: 86_400, day: 86_400 };

/** What is wrong with a text before it is sent; the server judges units that are not known here. */
export function wrongValue(setting: KindSetting, text: string): string | null {
  const value = readValue(text);
  if (value === null) return 'a value is needed';
  if (setting.type === 'boolean') return typeof value === 'boolean' ? null : 'it is yes or no';
  if (setting.type !== 'number') return null;
  const found = /^(-?\d+(?:\.\d+)?)\s*([^\s\d]*)$/.exec(text.trim().replace('−', '-'));
  if (!found) return 'it is a number, or a number with its unit';
  const unit = found[2] ?? '';
  const own = unit === '' || unit === setting.unit || unit === unitText(setting.unit);
  const scale = own ? 1 : setting.unit === 's' ? seconds[unit] : undefined;
  if (scale === undefined) return null;
  const number = Number(found[1]) * scale;
  const below = setting.min !== null && number < setting.min;
  const above = setting.max !== null && number > setting.max;
  return below || above ? `it is out of ${boundsText(setting)}` : null;
}
