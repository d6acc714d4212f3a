/** What happened to all calls of a cell. */
export class Tally {
  calls = 0;
  /** First tries that were refused or lost. */
  lost = 0;
  /** Calls that ended without an answer; by time or not. */
  errors = 0;
  timeouts = 0;
  retries = 0;
  copies = 0;
  /** Calls of which two copies ran. */
  duplicates = 0;
  /** Further messages: probes, tokens, cancellations, claims. */
  messages = 0;
}
