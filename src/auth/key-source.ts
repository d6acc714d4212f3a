import type { JwtAlgorithm } from './algorithm.js';
import { loadJose } from './jose.js';
import { importKey, type JwkSet, type KeyInput, type VerifyingKey } from './key.js';

/** The head of a token, not yet verified. */
export interface TokenHeader {
  /** How it says that it is signed. */
  readonly alg?: string | undefined;
  /** By which key. */
  readonly kid?: string | undefined;
}

/** Knows the keys that tokens may be signed with. */
export interface KeySource {
  /**
   * Whether an error that is none of the token's is the program's: the keys were given by hand. Those that others publish
   * may not fit what a token asks of them.
   */
  readonly fixed: boolean;
  /**
   * The key for a token.
   *
   * @throws (as a rejection) an error of `jose` when there is none, GovernanceError when it cannot be told
   */
  find(header: TokenHeader): Promise<VerifyingKey>;
}

/** One secret for all tokens. */
export function secretSource(secret: Uint8Array): KeySource {
  return { fixed: true, find: () => Promise.resolve(secret) };
}

/** One public key, in a form for each algorithm. */
export function publicKeySource(key: KeyInput, algorithms: readonly JwtAlgorithm[]): KeySource {
  let keys: Promise<ReadonlyMap<string | undefined, VerifyingKey>> | undefined;
  const read = async (): Promise<ReadonlyMap<string | undefined, VerifyingKey>> => {
    const form = 'public';
    const all = algorithms.map(async (algorithm) => importKey('jwt.publicKey', key, { form, algorithm }));
    return new Map((await Promise.all(all)).map((one, at) => [algorithms[at], one]));
  };
  return {
    fixed: true,
    find: async ({ alg }) => {
      keys ??= read();
      // Others are refused before keys are asked for.
      return (await keys).get(alg) as VerifyingKey;
    },
  };
}

/** What of a set of keys `jose` finds a key with. */
export type KeySet = (header: TokenHeader) => Promise<VerifyingKey>;

/**
 * Reads a set of keys.
 *
 * @throws (as a rejection) an error of `jose` when it is none
 */
export async function keySetOf(keys: unknown): Promise<KeySet> {
  const { createLocalJWKSet } = await loadJose();
  return createLocalJWKSet(keys as Parameters<typeof createLocalJWKSet>[0]) as unknown as KeySet;
}

/** A set of keys that does not change. */
export function localJwks(keys: JwkSet): KeySource {
  let set: Promise<KeySet> | undefined;
  return {
    fixed: false,
    find: async (header) => {
      set ??= keySetOf(keys);
      return (await set)(header);
    },
  };
}
