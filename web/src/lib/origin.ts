/** Addresses of the API, for what runs without the rest of its client. */
export const base = '/api/v1';

export type Query = Record<string, string | number | null | undefined>;

export function query(values: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== '') search.set(key, String(value));
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}
