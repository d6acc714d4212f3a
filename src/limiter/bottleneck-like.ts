/** What keelson needs of a limiter of bottleneck 2.19. */
export interface BottleneckLike {
  /** `local`, `ioredis` or `redis`. */
  readonly datastore: string;
  /** Runs a job when its turn has come. */
  schedule(options: BottleneckJob, run: () => PromiseLike<unknown>): Promise<unknown>;
  /** How much runs, in the whole cluster. */
  running(): Promise<number>;
  /** Resolves when its store can be used. */
  ready(): Promise<unknown>;
  /** What is left of the reservoir; `null` without one. */
  currentReservoir(): Promise<number | null>;
  /** Adds to the reservoir. */
  incrementReservoir(amount: number): Promise<number>;
  /** Takes no more jobs. */
  stop(options: { readonly dropWaitingJobs: boolean }): Promise<unknown>;
  /** Lets go of its store. */
  disconnect(flush?: boolean): unknown;
}

/** One job's options. */
export interface BottleneckJob {
  /** How much of the limits it takes. */
  readonly weight: number;
  /** When it counts as over whatever became of it; milliseconds. */
  readonly expiration?: number;
}

/** What keelson needs of the class itself. */
export interface BottleneckClass {
  /** Makes a limiter. */
  new (options: Record<string, unknown>): BottleneckLike;
  /** Bottleneck's way to Redis. */
  readonly IORedisConnection: new (options: {
    client: never;
    Redis: never;
  }) => object;
}

/** What keelson needs of an ioredis client, 5 or 6, single or cluster. */
export interface IoredisLike {
  /** `ready`, `wait`, … */
  readonly status: string;
  /** Adds a script as a command. */
  defineCommand(...args: never[]): unknown;
  /** Makes another connection like this one. */
  duplicate(...args: never[]): unknown;
}

/** What a limiter and its connection have besides, and the published types do not name. */
export interface LimiterInside {
  readonly connection?: ConnectionInside | null;
  /** Looks whether what is queued may run: a message from Redis that was lost would have made it look. */
  _drainAll(capacity?: number): Promise<unknown>;
}

/** Bottleneck's connection to Redis. */
export interface ConnectionInside {
  terminated: boolean;
  readonly client: OwnClient;
  readonly subscriber: OwnClient;
  /** By channel. */
  readonly limiters: Record<string, unknown>;
  __scriptFn__(name: string): (...args: unknown[]) => unknown;
  __removeLimiter__(limiter: { channel(): string; channel_client(): string }): unknown;
}

/** A connection that belongs to a quota. */
export interface OwnClient {
  disconnect(reconnect?: boolean): void;
  quit(): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
}

type Members = Readonly<Record<string, 'boolean' | 'function' | 'object'>>;

const ofLimiter: Members = {
  schedule: 'function',
  running: 'function',
  ready: 'function',
  currentReservoir: 'function',
  incrementReservoir: 'function',
  stop: 'function',
  disconnect: 'function',
};
const ofSharedLimiter: Members = { ...ofLimiter, _drainAll: 'function' };
const ofConnectionClass: Members = { __scriptFn__: 'function', __removeLimiter__: 'function' };
const ofConnection: Members = {
  ...ofConnectionClass,
  client: 'object',
  subscriber: 'object',
  limiters: 'object',
  terminated: 'boolean',
};

/** Half of it is no public part of bottleneck: what lacks it is refused at once, and does not fail when a call needs it. */
function mustHave(members: Members, what: string, thing: unknown): void {
  const found = (thing ?? {}) as Record<string, unknown>;
  const missing = Object.keys(members).filter((name) => typeof found[name] !== members[name]);
  if (missing.length > 0)
    throw new TypeError(`quota.${what} is not of bottleneck 2.19: it has no ${missing.join(', ')}`);
}

/**
 * Checks the class.
 *
 * @param shared - whether its limiters are to share a store
 * @throws TypeError when it lacks something that is used of it
 */
export function checkClass(Bottleneck: BottleneckClass, shared: boolean): void {
  const { prototype, IORedisConnection } = Bottleneck as Partial<BottleneckClass> & { prototype: unknown };
  mustHave(shared ? ofSharedLimiter : ofLimiter, 'Bottleneck', prototype);
  // The light build has none.
  if (shared) mustHave(ofConnectionClass, 'Bottleneck.IORedisConnection', IORedisConnection?.prototype);
}

/**
 * Checks a limiter that exists, and its connection.
 *
 * @throws TypeError when it lacks something that is used of it
 */
export function checkLimiter(limiter: unknown): asserts limiter is BottleneckLike {
  const { connection } = (limiter ?? {}) as Partial<LimiterInside>;
  mustHave(connection ? ofSharedLimiter : ofLimiter, 'limiter', limiter);
  if (connection) mustHave(ofConnection, 'limiter.connection', connection);
}

/** The same for a connection that was made of the class. */
export function checkConnection(connection: object): asserts connection is ConnectionInside {
  mustHave(ofConnection, 'Bottleneck.IORedisConnection', connection);
}
