/**
 * Verdicts that were given and can still be taken back: each is sent after ten seconds.
 *
 * Invariant: a verdict is sent once, or taken back; a page that goes sends what waits.
 */
import { Problem } from '../api.ts';
import { alarmsApi, judgeAndGo, type AlarmDetail, type Verdict } from './alarms.ts';

export const undo_ms = 10_000;

interface Held {
  verdict: Verdict;
  due: number;
  timer: ReturnType<typeof setTimeout>;
}

class Verdicts {
  held = $state.raw<Record<string, Held>>({});
  /** What the server refused, by alarm. */
  problems = $state.raw<Record<string, Problem>>({});
  onjudged: ((alarm: AlarmDetail) => void) | null = null;

  constructor() {
    // A phone that is put away stops the clock of its pages.
    addEventListener('pagehide', () => this.#flush());
    document.addEventListener('visibilitychange', () => document.hidden && this.#flush());
  }

  give(alarm: string, verdict: Verdict): void {
    this.undo(alarm);
    this.problems = without(this.problems, alarm);
    const timer = setTimeout(() => void this.send(alarm), undo_ms);
    this.held = { ...this.held, [alarm]: { verdict, due: Date.now() + undo_ms, timer } };
  }

  undo(alarm: string): void {
    const held = this.held[alarm];
    if (!held) return;
    clearTimeout(held.timer);
    this.held = without(this.held, alarm);
  }

  async send(alarm: string): Promise<void> {
    const held = this.held[alarm];
    if (!held) return;
    this.undo(alarm);
    try {
      this.onjudged?.((await alarmsApi.judge(alarm, held.verdict, '')).body);
    } catch (error) {
      this.problems = { ...this.problems, [alarm]: Problem.from(error) };
    }
  }

  #flush(): void {
    for (const [alarm, { verdict }] of Object.entries(this.held)) {
      this.undo(alarm);
      judgeAndGo(alarm, verdict);
    }
  }
}

function without<T>(all: Record<string, T>, key: string): Record<string, T> {
  const { [key]: _, ...rest } = all;
  return rest;
}

export const verdicts = new Verdicts();
