import module from 'node:module';
import { isWrapper } from './spoken-for.js';

type Prototype = Record<string, unknown>;

interface Loaded {
  readonly exports?: Record<string, { readonly prototype?: Prototype } | undefined>;
}

interface Cache {
  readonly _cache?: Readonly<Record<string, Loaded>>;
}

/** Which class of grpc-js stands in which of its files, in versions 1.8 and later. */
const files = {
  ResolvingCall: 'resolving-call.js',
  LoadBalancingCall: 'load-balancing-call.js',
  Server: 'server.js',
} as const;

/** A class of grpc-js that is looked for. */
export type GrpcClass = keyof typeof files;

/** A class that is there; of each copy of grpc-js one. */
export interface Found {
  readonly name: GrpcClass;
  readonly prototype: Prototype;
}

const found: Found[] = [];
let modules = -1;

/**
 * Looks for grpc-js among what has been loaded, and again when more has been, until there is one. A copy that was bundled
 * into one file with everything else is not found.
 */
export function findGrpc(): readonly Found[] {
  if (found.length > 0) return found;
  const { _cache = {} } = module as unknown as Cache;
  const paths = Object.keys(_cache);
  if (paths.length === modules) return found;
  modules = paths.length;
  for (const path of paths) {
    if (!path.includes('grpc-js')) continue;
    for (const [known, file] of Object.entries(files) as [GrpcClass, string][]) {
      const prototype = path.endsWith(file) ? _cache[path]?.exports?.[known]?.prototype : undefined;
      if (prototype !== undefined) found.push({ name: known, prototype });
    }
  }
  return found;
}

/** How long it counts that grpc-js is not there, for what is asked at each call; milliseconds. */
const lookAgainMs = 1_000;
let lookedAt = Number.NEGATIVE_INFINITY;

/** To list all that was loaded takes longer than all else that is done for a call. */
function lookAgain(now: number): void {
  const sinceMs = now - lookedAt;
  if (sinceMs >= 0 && sinceMs < lookAgainMs) return;
  lookedAt = now;
  findGrpc();
}

/**
 * Whether an instrumentation makes the spans of servers of grpc-js: it has wrapped `register`. Asked at each call, since it
 * can come late and go again. While there is no grpc-js, and others serve what is asked, it is looked for once a second.
 *
 * @param now - monotonic milliseconds
 */
export function grpcServersTraced(now: number): boolean {
  if (found.length === 0) lookAgain(now);
  return found.some(({ name, prototype }) => name === 'Server' && isWrapper(prototype['register']));
}
