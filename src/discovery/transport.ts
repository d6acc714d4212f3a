/** One exchange with a registry node. */
export interface RegistryRequest {
  readonly method: 'GET' | 'POST';
  /** Absolute. */
  readonly url: string;
  /** A form, for POST. */
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** A longer body is an error: it must not fill the memory. */
  readonly maxReplyBytes: number;
  /** Ends it: time is up, or nobody waits any more. */
  readonly signal: AbortSignal;
  /**
   * Whether the process has to stay for the answer. Only what a user awaits does; a long poll must not hold anybody.
   */
  readonly holdsProcess: boolean;
}

/** What came back, whatever the status. */
export interface RegistryReply {
  readonly status: number;
  readonly body: string;
  /** This end of the connection. */
  readonly localAddress?: string | undefined;
  /** The other end's wall clock, from the header `date`; milliseconds since 1970, known to the second. */
  readonly dateMs?: number | undefined;
}

/** Carries requests to registry nodes. */
export interface RegistryTransport {
  /** Rejects when no complete answer came. */
  send(request: RegistryRequest): Promise<RegistryReply>;
  /** Lets go of idle connections. */
  close(): void;
}
