/**
 * A fix as the server wrote it, for eyes.
 *
 * Invariant: no letter of it is lost but the backticks around commands.
 */

/** A fix as text and commands: what stands in backticks, or is one command as a whole. */
export function fixParts(fix: string): { text: string; code: boolean }[] {
  if (/^iotbiz [\w-]/.test(fix)) return [{ text: fix, code: true }];
  return fix
    .split('`')
    .map((text, index) => ({ text, code: index % 2 === 1 }))
    .filter((part) => part.text !== '');
}
