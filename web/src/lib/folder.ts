/**
 * What a board is given: the command that writes its folder, and files that it trusts or shows.
 *
 * Invariant: a text that becomes a file is kept nowhere here; the address made for it is revoked.
 */

/** "9f:41:c2:…:7a:e0": enough to compare by eye; the whole is in the title. */
export function shortHash(hex: string): string {
  const pairs = hex.toLowerCase().match(/../g) ?? [];
  if (pairs.length < 8) return pairs.join(':');
  return `${pairs.slice(0, 3).join(':')}:…:${pairs.slice(-2).join(':')}`;
}

export const languages = ['python', 'c', 'rust', 'arduino', 'esp-idf', 'micropython', 'zephyr'] as const;
export type Language = (typeof languages)[number];

export function folderCommand(name: string, language: Language, door: 'plain' | 'tls'): string {
  return `iotbiz connect ${name} --for ${language}${door === 'tls' ? ' --tls' : ''}`;
}

/** Gives a text to the reader as a file. */
export function download(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'application/x-pem-file' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // The browser has taken the address over once the click was handled.
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
