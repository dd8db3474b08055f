/**
 * Where the reader is. Invariant: the address bar is the only state of what is shown; going back
 * restores it.
 */
import { parse, type Route } from './router.ts';

/** A list that needs longer is not waited for. */
const scroll_back_ms_max = 2000;

class Nav {
  path = $state(location.pathname);
  search = $state(new URLSearchParams(location.search));
  /** The part of the page that the address names, without its #. */
  hash = $state(part());
  route: Route = $derived(parse(this.path));
  /** What the bread crumbs and the title call the current object; pages set it. */
  title = $state('');

  constructor() {
    history.scrollRestoration = 'manual';
    addEventListener('popstate', (event) => {
      this.#read();
      const left = (event.state as { scroll?: number } | null)?.scroll;
      // A part that was typed into the address is gone to, not back from.
      if (left !== undefined || this.hash === '') this.#scrollBack(left ?? 0);
    });
    addEventListener('click', (event) => this.#click(event));
  }

  go(to: string, how: 'push' | 'replace' = 'push'): void {
    if (to === location.pathname + location.search + location.hash) return;
    if (how === 'push') {
      history.replaceState({ scroll: scrollY }, '');
      history.pushState(null, '', to);
    } else history.replaceState(null, '', to);
    const moved = location.pathname !== this.path;
    this.#read();
    if (moved) this.#arrive();
  }

  /** Names a part of this page in the address; the page scrolls to it. */
  goPart(hash: string): void {
    if (hash !== part()) {
      history.replaceState({ scroll: scrollY }, '');
      history.pushState(null, '', `#${hash}`);
    }
    // The same part again is no new place, but the reader wants to be there again.
    this.hash = '';
    this.hash = hash;
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

  /** Where the reader was, as soon as the page is long enough again; a list is fetched first. */
  #scrollBack(to: number): void {
    const path = location.href;
    const until = performance.now() + scroll_back_ms_max;
    const step = () => {
      if (location.href !== path) return;
      scrollTo(0, to);
      if (Math.abs(scrollY - to) > 1 && performance.now() < until) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  #read(): void {
    this.path = location.pathname;
    this.search = new URLSearchParams(location.search);
    this.hash = part();
  }

  /** A page change moves focus to its heading, as a page load would for a screen reader. */
  #arrive(): void {
    scrollTo(0, 0);
    if (this.hash !== '') return;
    requestAnimationFrame(() => document.querySelector<HTMLElement>('main')?.focus());
  }

  /** From device to device the time range stays: what is compared is the same hour. */
  #range(to: string): string {
    if (!to.startsWith('/devices/') || !this.path.startsWith('/devices/')) return '';
    const kept = [...this.search].filter(([key]) => ['range', 'from', 'to', 'compare'].includes(key));
    return kept.length === 0 ? '' : `?${new URLSearchParams(kept)}`;
  }

  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!link || link.target || link.hasAttribute('download')) return;
    if (link.origin !== location.origin || link.pathname.startsWith('/api/')) return;
    event.preventDefault();
    const there = link.pathname === location.pathname && (link.search === '' || link.search === location.search);
    if (link.hash !== '' && there) return this.goPart(link.hash.slice(1));
    this.go(link.pathname + (link.search || this.#range(link.pathname)) + link.hash);
  }
}

function part(): string {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}

export const nav = new Nav();
