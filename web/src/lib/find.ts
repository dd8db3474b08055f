/**
 * Ranking of the palette. Invariant: letters must appear in order; a hit at the start of a word
 * beats one inside, and nothing typed keeps the given order.
 */

export function score(text: string, typed: string): number {
  const hay = text.toLowerCase();
  const needle = typed.toLowerCase().replaceAll(/\s+/g, '');
  if (needle === '') return 1;
  const whole = hay.indexOf(typed.toLowerCase().trim());
  if (whole === 0) return 1000;
  if (whole > 0) return /\W/.test(hay[whole - 1]!) ? 800 : 600;
  let at = -1;
  let points = 0;
  for (const letter of needle) {
    const found = hay.indexOf(letter, at + 1);
    if (found < 0) return 0;
    const starts = found === 0 || /\W/.test(hay[found - 1]!);
    points += starts ? 12 : found === at + 1 ? 6 : 1;
    at = found;
  }
  return points;
}

export function rank<T extends { words: string }>(items: T[], typed: string): T[] {
  return items
    .map((item, order) => ({ item, order, points: score(item.words, typed) }))
    .filter((entry) => entry.points > 0)
    .sort((a, b) => b.points - a.points || a.order - b.order)
    .map((entry) => entry.item);
}
