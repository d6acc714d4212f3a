/** The protocol's codes. They travel in the body; the HTTP status of a well-formed request is 200 whatever they are. */
export const codes = {
  ok: 0,
  /** A poll that waited and saw no change. */
  notModified: -304,
  badRequest: -400,
  /** No token, or none that is known; `Unauthorized` in kratos' code table. */
  unauthorized: -401,
  notFound: -404,
  /** Replicated renewal: the copy here is newer. */
  conflict: -409,
  serverError: -500,
  /** A bound of this registry is reached; `LimitExceed` in kratos' code table. */
  limitExceeded: -509,
} as const;

/** One of {@link codes}. */
export type Code = (typeof codes)[keyof typeof codes];

/** A request that is answered with a code and one sentence. */
export class Refused extends Error {
  override readonly name = 'Refused';
  /** HTTP status, for what is wrong below the protocol. */
  readonly status: number;
  constructor(
    readonly code: Code,
    message: string,
    details: { readonly status?: number; readonly cause?: unknown } = {},
  ) {
    super(message, details);
    this.status = details.status ?? 200;
  }
}

/** A parameter is missing or wrong. */
export const badRequest = (message: string, cause?: unknown): Refused =>
  new Refused(codes.badRequest, message, { cause });

/** A bound is reached. */
export const limitExceeded = (message: string): Refused => new Refused(codes.limitExceeded, message);
