import { diag } from '@opentelemetry/api';

/** More different ones than that are made by a loop, not by a mistake. */
const maxNotices = 1000;

/** Tells users of mistakes through OpenTelemetry's `diag`, each once: a mistake on the hot path is made at each call. */
export class Notices {
  private readonly told = new Set<string>();

  /** @param what - the message; the same one is not told again */
  once(what: string): void {
    if (this.told.has(what) || this.told.size >= maxNotices) return;
    this.told.add(what);
    try {
      diag.warn(`keelson: ${what}`);
    } catch {
      // The logger is the user's, and so is the call that this is a part of.
    }
  }
}
