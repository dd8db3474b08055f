/**
 * One question to the server and what became of it: how every page and card loads.
 *
 * Invariant: an answer to an older question is dropped, whichever of the two comes last.
 * Invariant: a repetition that fails leaves what is shown; it is stale then, and says so.
 */
import { Problem } from '../api.ts';

export type Phase = 'loading' | 'failed' | 'stale' | 'ready';

/** Numbers questions: only the newest may still be answered. */
export class Questions {
  #newest = 0;

  /** Begins a question. What is returned tells whether no newer one was begun since. */
  begin(): () => boolean {
    const mine = (this.#newest += 1);
    return () => mine === this.#newest;
  }
}

/** What was answered last, for a page that is opened again: it is shown until the new answer is there. */
const kept = new Map<string, { value: unknown; at: number }>();
/** The oldest is forgotten for the next. */
const kept_max = 60;

/** After what changes more than one page shows. */
export function forgetAll(): void {
  kept.clear();
}

export class Load<T> {
  /** The newest answer, even when something else is asked by now. */
  last = $state.raw<T | null>(null);
  problem = $state.raw<Problem | null>(null);
  busy = $state(false);
  /** When `last` came, in ms of this browser. */
  at = $state<number | null>(null);
  /** What `last` is the answer to. */
  #about = $state('');
  #questions = new Questions();
  #ask: () => Promise<T>;
  #subject: () => string;
  #memory: string | null;

  /**
   * `subject` names what is asked about; an answer about something else is no `value`.
   * With a `memory` the page begins with what the last one of this name was answered about it.
   */
  constructor(ask: () => Promise<T>, subject: () => string = () => '', memory: string | null = null) {
    this.#ask = ask;
    this.#subject = subject;
    this.#memory = memory;
    const about = subject();
    const before = memory === null ? undefined : kept.get(`${memory} ${about}`);
    if (before) [this.last, this.#about, this.at] = [before.value as T, about, before.at];
  }

  get value(): T | null {
    return this.#about === this.#subject() ? this.last : null;
  }

  get phase(): Phase {
    if (this.value === null) return this.problem === null ? 'loading' : 'failed';
    return this.problem === null ? 'ready' : 'stale';
  }

  /** Asks; whether the answer came and is still wanted. */
  run(): Promise<boolean> {
    return this.answer(this.#ask);
  }

  protected async answer(ask: () => Promise<T>): Promise<boolean> {
    const wanted = this.#questions.begin();
    const about = this.#subject();
    this.busy = true;
    try {
      const value = await ask();
      if (!wanted()) return false;
      this.#keep(value, about);
      return true;
    } catch (error) {
      if (wanted()) this.problem = Problem.from(error);
      return false;
    } finally {
      if (wanted()) this.busy = false;
    }
  }

  /** What an act answered: it is newer than any question on its way. */
  take(value: T): void {
    this.#questions.begin();
    this.busy = false;
    this.#keep(value, this.#subject());
  }

  /** What the feed told of a part; a question on its way is still answered. */
  change(make: (value: T) => T): void {
    if (this.value !== null) this.last = make(this.value);
  }

  #keep(value: T, about: string): void {
    this.last = value;
    this.#about = about;
    this.at = Date.now();
    this.problem = null;
    if (this.#memory === null) return;
    const name = `${this.#memory} ${about}`;
    kept.delete(name);
    kept.set(name, { value, at: this.at });
    for (const oldest of kept.keys()) {
      if (kept.size <= kept_max) break;
      kept.delete(oldest);
    }
  }
}

export interface Listed {
  items: unknown[];
  next_cursor: string | null;
}

/** A list that comes page by page. */
export class ListLoad<L extends Listed> extends Load<L> {
  #page: (cursor: string | null) => Promise<L>;

  constructor(page: (cursor: string | null) => Promise<L>, subject?: () => string) {
    super(() => page(null), subject);
    this.#page = page;
  }

  get items(): L['items'] | null {
    return this.value?.items ?? null;
  }

  /** The next page, joined to what is there. */
  async more(): Promise<boolean> {
    const cursor = this.value?.next_cursor ?? null;
    if (cursor === null) return false;
    return this.answer(async () => {
      const next = await this.#page(cursor);
      return { ...next, items: [...(this.items ?? []), ...next.items] };
    });
  }
}
