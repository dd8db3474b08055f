/**
 * Connect snippets. Invariant: a token is drawn masked unless asked for, and copied in full.
 */

export const placeholder = '{TOKEN}';

export function withToken(code: string, token: string | null): string {
  return token === null ? code.replaceAll(placeholder, 'TOKEN') : code.replaceAll(placeholder, token);
}

export function mask(code: string, token: string | null): string {
  if (token === null) return code.replaceAll(placeholder, 'TOKEN');
  return code.replaceAll(placeholder, `••••••••${token.slice(-4)}`);
}
