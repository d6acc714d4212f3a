import type { EncodingName } from './encoding.js';
import type { SpoolClaim } from './spool-name.js';

/** A request for spans on its way. */
export interface Parcel {
  readonly encoding: EncodingName;
  readonly spans: number;
  body: Buffer;
  gzipped: boolean;
  /** How often it was tried in vain. */
  failures: number;
  /** Not before; on the clock's scale, milliseconds. */
  dueAt: number;
  /** When it was closed, or read from the disk; on the clock's scale, milliseconds. */
  readonly since: number;
  /** The file that it is, if it comes from the spool. */
  readonly claim: SpoolClaim | undefined;
}
