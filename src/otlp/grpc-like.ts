/** What is used of the metadata of `@grpc/grpc-js`. */
export interface GrpcMetadataLike {
  /** Gives an entry one value; one that ends in `-bin` would have to be bytes. */
  set(name: string, value: string): void;
  /** All values of an entry; of one that ends in `-bin` as bytes. Empty if there is none. */
  get(name: string): readonly (string | Buffer)[];
}

/** How a call ended, as `@grpc/grpc-js` tells it. */
export interface GrpcErrorLike {
  readonly code?: number;
  readonly details?: string;
  readonly message?: string;
  readonly metadata?: GrpcMetadataLike;
}

/** What is used of a client of `@grpc/grpc-js`. */
export interface GrpcClientLike {
  /** Sends one message and takes one. `done` is called once, with an error or with the answer. */
  makeUnaryRequest(
    method: string,
    serialize: (value: Buffer) => Buffer,
    deserialize: (bytes: Buffer) => Buffer,
    argument: Buffer,
    metadata: GrpcMetadataLike,
    done: (error: GrpcErrorLike | null, value?: Buffer) => void,
  ): {
    /** Gives the call up; `done` then hears of it as `CANCELLED`. */
    cancel(): void;
  };
  /** Closes the channel; calls that are under way go on. */
  close(): void;
}

/** What is used of `@grpc/grpc-js` 1.10 or later. */
export interface GrpcLike {
  readonly Client: new (address: string, credentials: never, options?: object) => GrpcClientLike;
  readonly Metadata: new () => GrpcMetadataLike;
  readonly credentials: {
    /** No TLS: for `http:` and addresses that are said to be insecure. */
    createInsecure(): unknown;
    /** TLS; without `ca` the certificates that Node trusts, with `key` and `cert` a client certificate too. */
    createSsl(ca?: Buffer | null, key?: Buffer | null, cert?: Buffer | null): unknown;
  };
}

let loading: Promise<GrpcLike> | undefined;

/**
 * The package `@grpc/grpc-js`, loaded when the first batch is sent by gRPC: who exports over HTTP does without it.
 *
 * @throws (as a rejection) Error that says what to install
 */
export function loadGrpc(): Promise<GrpcLike> {
  loading ??= import('@grpc/grpc-js').then(
    (loaded) => loaded as unknown as GrpcLike,
    (cause: unknown) => {
      loading = undefined;
      throw new Error('to export by gRPC install @grpc/grpc-js, or give another protocol', { cause });
    },
  );
  return loading;
}
