/**
 * Where the reader is. Invariant: the address bar is the only state of what is shown; going back
 * restores it.
 */
import { parse, type Route } from './router.ts';

class Nav {
  path = $state(location.pathname);
  search = $state(new URLSearchParams(location.search));
  route: Route = $derived(parse(this.path));
  /** What the bread crumbs and the title call the current object; pages set it. */
  title = $state('');

  constructor() {
    addEventListener('popstate', () => this.#read());
    addEventListener('click', (event) => this.#click(event));
  }

  go(to: string, how: 'push' | 'replace' = 'push'): void {
    if (to === location.pathname + location.search) return;
    if (how === 'push') history.pushState(null, '', to);
    else history.replaceState(null, '', to);
    const moved = location.pathname !== this.path;
    this.#read();
    if (moved) this.#arrive();
  }

  /** Changes parameters of the query; `null` removes one. */
  set(values: Record<string, string | null>, how: 'push' | 'replace' = 'replace'): void {
    const search = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(values)) {
      if (value === null || value === '') search.delete(key);
      else search.set(key, value);
    }
    const text = search.toString().replaceAll('%3A', ':').replaceAll('%2C', ',');
    this.go(location.pathname + (text === '' ? '' : `?${text}`), how);
  }

  #read(): void {
    this.path = location.pathname;
    this.search = new URLSearchParams(location.search);
  }

  /** A page change moves focus to its heading, as a page load would for a screen reader. */
  #arrive(): void {
    scrollTo(0, 0);
    requestAnimationFrame(() => document.querySelector<HTMLElement>('main')?.focus());
  }

  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!link || link.target || link.hasAttribute('download')) return;
    if (link.origin !== location.origin || link.pathname.startsWith('/api/')) return;
    if (link.hash !== '' && link.pathname === location.pathname) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

export const nav = new Nav();
