import { createHash, timingSafeEqual } from 'node:crypto';

/** One secret, or several, each under the name by which the log tells them apart. */
export type RegistryTokens = string | Readonly<Record<string, string>>;

/** What a bearer token may consist of, by RFC 6750. */
const sendable = /^[\w.~+/-]+=*$/;
/** So that it cannot be guessed by trying. */
const leastLength = 16;
/** What the log calls the only one. */
const onlyName = 'default';
/** An object puts such names first, wherever they were written. */
const numeric = /^\d+$/;

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Whoever shows one of them is let in. */
export class Tokens {
  /** The one that this node shows to its peers. */
  readonly own: string;
  /** Names of those that make who shows them a node. */
  readonly nodeNames: ReadonlySet<string>;
  private readonly digests: readonly (readonly [name: string, digest: Buffer])[];

  /**
   * @param nodeNames - of those by which nodes know each other, of which they show the first; absent: the first of all
   * @throws TypeError for what is no token, RangeError for one that is too short, too odd, there twice, or for none at all
   */
  constructor(given: RegistryTokens, nodeNames?: readonly string[]) {
    const named: unknown = typeof given === 'string' ? { [onlyName]: given } : given;
    if (typeof named !== 'object' || named === null)
      throw new TypeError('createRegistry.token must be a string, or an object of strings by name');
    const tokens = Object.entries(named as Record<string, unknown>);
    for (const [name, token] of tokens) check(name, token);
    const known = new Map(tokens as [string, string][]);
    const [first] = known.keys();
    if (first === undefined) throw new RangeError('createRegistry.token must not be empty');
    if (new Set(known.values()).size < known.size)
      throw new RangeError('createRegistry.token must not hold one token under two names');
    this.nodeNames = new Set(nodeNames ?? [first]);
    const [own] = [...this.nodeNames].map((name, at) => nodeToken(known.get(name), at));
    if (own === undefined) throw new RangeError('createRegistry.nodeTokens must not be empty');
    this.own = own;
    this.digests = [...known].map(([name, token]) => [name, digestOf(token)]);
  }

  /**
   * Looks for the token of a request. Takes as long whether one fits, almost fits, or none does.
   *
   * @param authorization - the header
   * @returns its name; absent: it is none of them
   */
  nameOf(authorization: string | undefined): string | undefined {
    const [, shown = ''] = /^bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
    // Digests are of one length, and say nothing of how much of a token was right.
    const digest = digestOf(shown);
    let found: string | undefined;
    for (const [name, expected] of this.digests) if (timingSafeEqual(digest, expected)) found = name;
    return found;
  }
}

function nodeToken(token: string | undefined, at: number): string {
  // Not with what was given: it may be the token, by mistake.
  if (token === undefined)
    throw new RangeError(`createRegistry.nodeTokens: number ${at + 1} is not the name of a token`);
  return token;
}

function check(name: string, token: unknown): void {
  // A caller without a token has an empty name.
  if (name === '' || numeric.test(name))
    throw new RangeError('createRegistry.token must have names that are not empty, nor of digits alone');
  const subject = name === onlyName ? 'createRegistry.token' : `createRegistry.token.${name}`;
  if (typeof token !== 'string') throw new TypeError(`${subject} must be a string`);
  // Never with the token itself: messages end in logs.
  if (token.length < leastLength)
    throw new RangeError(`${subject} must have ${leastLength} characters or more`);
  if (!sendable.test(token))
    throw new RangeError(`${subject} must consist of letters, digits, and - . _ ~ + / with = at its end`);
}
