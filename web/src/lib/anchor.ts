/**
 * Going to the part of a page that the address names.
 *
 * Invariant: what loads above a part does not move it away, until the reader moves the page.
 */

/** After this a part is left where it is, whatever loads. */
const settle_ms = 6000;
const moves = ['wheel', 'touchmove', 'keydown', 'pointerdown'] as const;

/** Brings the part into view, also when its page is still loading. Returns the function that ends it. */
export function followPart(id: string): () => void {
  let focused = false;
  function go(): void {
    const found = document.getElementById(id);
    found?.scrollIntoView({ block: 'start' });
    if (!found || focused) return;
    focused = true;
    found.focus({ preventScroll: true });
  }
  go();
  const watch = new ResizeObserver(go);
  // The body is as high as the window; what grows is the page in it.
  watch.observe(document.querySelector('main') ?? document.body);
  const end = (): void => {
    watch.disconnect();
    clearTimeout(timer);
    for (const move of moves) removeEventListener(move, end);
  };
  const timer = setTimeout(end, settle_ms);
  for (const move of moves) addEventListener(move, end, { passive: true });
  return end;
}
