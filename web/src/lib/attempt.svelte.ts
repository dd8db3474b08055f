/**
 * Something a person asked for: it runs once at a time, and a refusal stands until the next try.
 *
 * Invariant: nothing is tried again by itself; only the person knows whether that is right.
 * Invariant: what is asked for while it runs is not done: a double click sends once.
 */
import { Problem } from '../api.ts';

export class Attempt {
  busy = $state(false);
  problem = $state.raw<Problem | null>(null);

  /** Whether it was done. */
  async run(work: () => Promise<unknown>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.problem = null;
    try {
      await work();
      return true;
    } catch (error) {
      this.problem = Problem.from(error);
      return false;
    } finally {
      this.busy = false;
    }
  }

  /** What is wrong with a part of what was sent, such as `mail` or `inputs/reach`, for beside its field. */
  wrong(part: string): string | null {
    const found = this.problem?.errors.find((one) => one.pointer === `/${part}`)?.message;
    return found ? `${found.charAt(0).toUpperCase()}${found.slice(1)}.` : null;
  }

  /** What was refused is of no interest any more. */
  forget(): void {
    this.problem = null;
  }
}
