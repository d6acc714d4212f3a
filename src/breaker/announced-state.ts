import { checkChoice } from '../core/options.js';
import { type BreakerMode, type BreakerState, breakerModes, type TransitionHook } from './breaker.js';

/** What every breaker's options say of who decides and who is told. */
interface Announcement {
  readonly mode: BreakerMode;
  readonly onTransition: TransitionHook | undefined;
}

/** Checks what `resolveOptions` cannot. */
export function checkAnnouncement(owner: string, { mode, onTransition }: Announcement): void {
  checkChoice(`${owner}.mode`, mode, breakerModes);
  if (onTransition !== undefined && typeof onTransition !== 'function')
    throw new TypeError(`${owner}.onTransition must be a function, got ${String(onTransition)}`);
}

/** The state that the world was last told of. Lays the mode over what the breaker finds, and tells the hook of changes. */
export class AnnouncedState {
  current: BreakerState = 'closed';

  constructor(public by: Announcement) {}

  /** @param found - what the evidence alone says */
  become(found: BreakerState, now: number): void {
    const from = this.current;
    const { mode, onTransition } = this.by;
    const to = mode === 'open' || mode === 'closed' ? mode : found;
    if (to === from) return;
    this.current = to;
    if (onTransition !== undefined) this.tell(onTransition, from, now);
  }

  /** The hook is the user's, the call that happened to bring the change about is not: what it throws stays here. */
  private tell(hook: TransitionHook, from: BreakerState, now: number): void {
    try {
      const result: unknown = hook(from, this.current, now);
      if (result instanceof Promise) result.catch(() => undefined);
    } catch {
      // See above.
    }
  }
}
