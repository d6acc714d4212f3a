import { refusalHeaders, refusalText } from './refusal-reply.js';

/** What a refusal maps to on the wires, and whether the caller may try again later. */
export interface RejectionStatus {
  /** HTTP status a server answers with. */
  readonly http: number;
  /** gRPC status code. */
  readonly grpc: number;
  /** Whether the same call may succeed later or elsewhere. keelson itself never retries its own refusals. */
  readonly retryable: boolean;
}

/** The closed table of refusals: code → HTTP status, gRPC status, retryable. */
export const rejections = {
  /** No endpoint of the service is known, or none may be picked. */
  NO_ENDPOINT: { http: 503, grpc: 14, retryable: true },
  /** A circuit breaker refused. */
  BREAKER_OPEN: { http: 503, grpc: 14, retryable: true },
  /** An adaptive or concurrency limit refused: this process has too much to do. */
  OVERLOADED: { http: 503, grpc: 8, retryable: true },
  /** A rate limit refused: this caller sends too much. */
  RATE_LIMITED: { http: 429, grpc: 8, retryable: true },
  /** The call's time ran out, or had run out when it arrived. */
  DEADLINE_EXCEEDED: { http: 504, grpc: 4, retryable: false },
  /** The peer went away before the answer. */
  CANCELLED: { http: 499, grpc: 1, retryable: false },
  /** A response body stayed silent for longer than its idle timeout. */
  BODY_IDLE: { http: 504, grpc: 4, retryable: false },
  /** The endpoint cannot be called as configured, for example https to an IP address without a server name. */
  BAD_ENDPOINT: { http: 502, grpc: 14, retryable: false },
  /** The app is stopping and takes no new calls. */
  SHUTTING_DOWN: { http: 503, grpc: 14, retryable: true },
  /** The request breaks its own rules, whatever the state of the callee. */
  INVALID_ARGUMENT: { http: 400, grpc: 3, retryable: false },
  /** A callee's answer breaks the rules that both sides agreed on. */
  INVALID_RESPONSE: { http: 502, grpc: 13, retryable: false },
  /** The caller did not show who it is, or what it showed is not good. */
  UNAUTHENTICATED: { http: 401, grpc: 16, retryable: false },
  /** It is known who the caller is, and it may not. */
  PERMISSION_DENIED: { http: 403, grpc: 7, retryable: false },
  /** What issues tokens, or the keys to verify them, cannot be reached. */
  AUTH_UNAVAILABLE: { http: 503, grpc: 14, retryable: true },
} as const satisfies Record<string, RejectionStatus>;

/** The closed set of reasons for which keelson refuses or ends a call. */
export type RejectionCode = keyof typeof rejections;

/** What a refusal is answered with besides its status: for whoever sent the call, so nothing that is not theirs to know. */
export interface RefusalAnswer {
  /** What is wrong, in words. HTTP servers put it into the body; over gRPC `message` goes out. */
  readonly text?: string | undefined;
  /** Headers of an HTTP response, names in lower case: `www-authenticate`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Further facts of a {@link GovernanceError}. */
export interface GovernanceErrorDetails {
  /** What lies behind it. */
  readonly cause?: unknown;
  /** How long to stay away; milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** Logical name of the service that was called. */
  readonly service?: string | undefined;
  /** Which side refused: the caller's own process, or the server that runs the handler. */
  readonly side?: 'client' | 'server' | undefined;
  /** See {@link GovernanceError.unsent}. */
  readonly unsent?: boolean | undefined;
  /** What a server that refuses answers with. One that was refused as a client does not pass it on. */
  readonly answer?: RefusalAnswer | undefined;
}

/**
 * Codes about whoever sent a request. On a client that is this process itself: whoever called it has done nothing wrong.
 *
 * Source: gRPC proposal A54, which turns such statuses of a client's own parts into INTERNAL.
 */
const aboutSender: ReadonlySet<string> = new Set([
  'INVALID_ARGUMENT',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
]);

function isOwnFault({ side, code }: GovernanceError): boolean {
  return side === 'client' && aboutSender.has(code);
}

const brand = Symbol.for('keelson.GovernanceError');

/**
 * The only class for refusals at call time. Recognise it by {@link isGovernanceError}, never by `instanceof`: two
 * copies of the package in one process are two classes.
 */
export class GovernanceError extends Error {
  declare readonly name: 'GovernanceError';
  /** Why; closed set. */
  readonly code: RejectionCode;
  /** How long to stay away, in milliseconds, if known. */
  readonly retryAfterMs: number | undefined;
  /** Logical name of the service that was called, if known. */
  readonly service: string | undefined;
  /** Which side refused, if known. */
  readonly side: 'client' | 'server' | undefined;
  /**
   * Of a deadline: it had passed beforehand, so that nothing was sent or run. Other codes say by themselves whether
   * anything was.
   */
  readonly unsent: boolean;
  /** What a server that refuses answers with besides the status. */
  readonly answer: RefusalAnswer | undefined;

  /**
   * @param code - the reason
   * @param message - one sentence for a person
   * @param details - further facts
   */
  constructor(code: RejectionCode, message: string, details: GovernanceErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryAfterMs = details.retryAfterMs;
    this.service = details.service;
    this.side = details.side;
    this.unsent = details.unsent ?? false;
    this.answer = details.answer;
  }

  /** Whether the same call may succeed later or elsewhere. */
  get retryable(): boolean {
    return rejections[this.code].retryable;
  }
  /**
   * HTTP status for a server that answers with this refusal. 500 when a client's own request or credentials were refused
   * before they went out: that is a fault of this process.
   */
  get httpStatus(): number {
    return isOwnFault(this) ? 500 : rejections[this.code].http;
  }
  /** gRPC status code for a server that answers with this refusal; 13 where `httpStatus` is 500. */
  get grpcStatus(): number {
    return isOwnFault(this) ? 13 : rejections[this.code].grpc;
  }
  /** The same as `httpStatus`, by the name that Express, Fastify, Koa and NestJS look for on an error. */
  get statusCode(): number {
    return this.httpStatus;
  }
  /** Whether its message is for whoever sent the call. Koa sends it only then, and else logs the error. */
  get expose(): boolean {
    return this.side === 'server' && this.answer?.text !== undefined;
  }
  /** What belongs to that status: `retry-after`, the shed header. Looked for by Express, Fastify and Koa. */
  get headers(): Record<string, string> {
    return refusalHeaders(this);
  }
  /** The refusal as a response, for servers in the terms of `fetch`. Hono looks for it on an error. */
  getResponse(): Response {
    const { httpStatus: status, headers } = this;
    return new Response(refusalText(this), { status, headers });
  }
}
// On the prototype: one property for all errors, and every copy of the package knows those of the others.
Object.defineProperty(GovernanceError.prototype, brand, { value: true });
// Here and not in the constructor, which would be too late for the first line of the stack.
Object.defineProperty(GovernanceError.prototype, 'name', { value: 'GovernanceError' });

/** Whether something that was thrown is keelson's own refusal, from whichever copy of the package. */
export function isGovernanceError(error: unknown): error is GovernanceError {
  return typeof error === 'object' && error !== null && (error as { [brand]?: unknown })[brand] === true;
}

/**
 * Makes an error without a stack. A stack costs 10 µs and more, and the place where a gate refused tells nothing
 * that the code does not: an open breaker has to be cheap.
 */
export function refusal(
  code: RejectionCode,
  message: string,
  details?: GovernanceErrorDetails,
): GovernanceError {
  const limit = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = 0;
  } catch {
    // Frozen intrinsics: the stack is taken, and nothing else changes.
    return new GovernanceError(code, message, details);
  }
  try {
    return new GovernanceError(code, message, details);
  } finally {
    Error.stackTraceLimit = limit;
  }
}
