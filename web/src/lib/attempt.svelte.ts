/**
 * Something a person asked for: it runs once at a time, and a refusal stands until the next try.
 *
 * Invariant: nothing is tried again by itself; only the person knows whether that is right.
 */
import { Problem } from '../api.ts';

export class Attempt {
  busy = $state(false);
  problem = $state.raw<Problem | null>(null);

  /** Whether it was done. */
  async run(work: () => Promise<unknown>): Promise<boolean> {
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

  /** What was refused is of no interest any more. */
  forget(): void {
    this.problem = null;
  }
}
