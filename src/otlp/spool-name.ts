import type { EncodingName } from './encoding.js';

/** What the name of a spool file says, so that it need not be opened to be counted. */
export interface SpoolName {
  /** When it was written; wall clock, milliseconds since 1970. */
  readonly wroteMs: number;
  readonly spans: number;
  readonly encoding: EncodingName;
  readonly gzipped: boolean;
  /** Without the mark of a claim. */
  readonly name: string;
  /** When somebody took it to send it, if somebody did. */
  readonly claimedMs: number | undefined;
}

/** A file that this process has taken: no other one sends it. */
export interface SpoolClaim {
  readonly entry: SpoolName;
  /** Its name meanwhile. */
  readonly heldAs: string;
}

const form =
  /^((\d{13,15})-[\da-f]{16}-\d{1,15}-(\d{1,9})\.(protobuf|json)(\.gz)?\.spans)(?:\.claim-(\d{13,15})-[\da-f]{16})?$/;
const half = '.tmp';

/** Reads a name; `undefined` for a file that is none of ours. */
export function parseSpoolName(file: string): SpoolName | undefined {
  const match = form.exec(file);
  if (match === null) return undefined;
  const [, name = '', wrote, spans, encoding, gz, claimed] = match;
  return {
    name,
    wroteMs: Number(wrote),
    spans: Number(spans),
    encoding: encoding as EncodingName,
    gzipped: gz !== undefined,
    claimedMs: claimed === undefined ? undefined : Number(claimed),
  };
}

/** Reads the name of a file that somebody has not finished writing; `undefined` for any other. */
export function parseHalfWritten(file: string): SpoolName | undefined {
  if (!file.endsWith(half)) return undefined;
  const name = parseSpoolName(file.slice(0, -half.length));
  return name?.claimedMs === undefined ? name : undefined;
}

const stamp = (ms: number): string => String(Math.max(0, Math.floor(ms))).padStart(13, '0');

/** Who writes: one process, and its how manyth file. */
export interface SpoolAuthor {
  readonly token: string;
  readonly serial: number;
}

/** Names a file. Names of one process sort by age. */
export function spoolName(
  { spans, encoding, gzipped }: Pick<SpoolName, 'spans' | 'encoding' | 'gzipped'>,
  wallMs: number,
  { token, serial }: SpoolAuthor,
): string {
  return `${stamp(wallMs)}-${token}-${serial}-${spans}.${encoding}${gzipped ? '.gz' : ''}.spans`;
}

/** What a file is called until all of it is written. */
export function halfName(name: string): string {
  return `${name}${half}`;
}

/** What a file is called while somebody sends it. */
export function claimName(name: string, wallMs: number, token: string): string {
  return `${name}.claim-${stamp(wallMs)}-${token}`;
}
