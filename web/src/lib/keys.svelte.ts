/**
 * Keyboard: Ctrl K everywhere; single letters only outside fields, and they can be turned off
 * (WCAG 2.2, 2.1.4).
 */
import { app } from './app.svelte.ts';
import { nav } from './nav.svelte.ts';

class Overlay {
  open = $state<'none' | 'palette' | 'help'>('none');
  #back: HTMLElement | null = null;

  show(which: 'palette' | 'help'): void {
    if (this.open === 'none') this.#back = document.activeElement as HTMLElement | null;
    this.open = which;
  }

  close(): void {
    this.open = 'none';
    this.#back?.focus?.();
  }
}

export const overlay = new Overlay();

export const destinations: { key: string; to: string; words: string }[] = [
  { key: 'v', to: '/ventures', words: 'Ventures' },
  { key: 'i', to: '/ideas', words: 'Ideas' },
  { key: 'f', to: '/fleet', words: 'Fleet' },
  { key: 'a', to: '/alarms', words: 'Alarms' },
  { key: 'c', to: '/connect', words: 'Connect a device' },
  { key: 'r', to: '/revenue', words: 'Revenue' },
];

/** Time in which the letter after `g` counts. */
const chord_ms = 1500;

export function listenToKeys(): () => void {
  let goUntil = 0;
  const onKey = (event: KeyboardEvent) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      if (overlay.open === 'palette') overlay.close();
      else overlay.show('palette');
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || overlay.open !== 'none') return;
    if (!app.keys || inField(event.target)) return;
    if (Date.now() < goUntil) {
      goUntil = 0;
      const destination = destinations.find((entry) => entry.key === event.key);
      if (destination) {
        event.preventDefault();
        nav.go(destination.to);
        return;
      }
    }
    if (event.key === 'g') goUntil = Date.now() + chord_ms;
    else if (event.key === '?') overlay.show('help');
    else if (event.key === '/') focusFilter(event);
    else return;
  };
  addEventListener('keydown', onKey);
  return () => removeEventListener('keydown', onKey);
}

function focusFilter(event: KeyboardEvent): void {
  const field = document.querySelector<HTMLInputElement>('[data-filter]');
  event.preventDefault();
  if (field) field.focus();
  else nav.go('/fleet?focus=filter');
}

function inField(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest?.('input, textarea, select, [contenteditable]');
}
