/** Nesting allowed in a text or a value. Registry messages need six; the limit keeps a hostile one off the stack. */
const maxDepth = 100;
/** Digits allowed in one integer: turning digits into a BigInt costs more than linear time. */
const maxDigits = 1_000;

/** What {@link parse} makes of a text: JSON's values, and a bigint where a number would not be exact. */
export type LosslessJson =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly LosslessJson[]
  | { readonly [key: string]: LosslessJson };

const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const space = /[ \t\n\r]*/y;
/** The characters of a string up to what needs a look: a quote, an escape, a control character. */
const plain = /[ !#-[\]-\uffff]*/y;

class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  document(): LosslessJson {
    const value = this.value(0);
    if (this.at < this.text.length) throw this.unexpected();
    return value;
  }

  private value(depth: number): LosslessJson {
    if (depth > maxDepth) throw new SyntaxError(`JSON nested deeper than ${maxDepth} at offset ${this.at}`);
    this.run(space);
    const value = this.bare(depth);
    this.run(space);
    return value;
  }

  private bare(depth: number): LosslessJson {
    switch (this.text[this.at]) {
      case '{':
        return this.object(depth);
      case '[':
        return this.array(depth);
      case '"':
        return this.string();
      case 't':
        return this.word('true', true);
      case 'f':
        return this.word('false', false);
      case 'n':
        return this.word('null', null);
      default:
        return this.number();
    }
  }

  private object(depth: number): LosslessJson {
    // No prototype: "__proto__" is a key like any other, and "constructor" is absent unless it was sent.
    const found: Record<string, LosslessJson> = Object.create(null);
    this.at++;
    this.run(space);
    if (this.took('}')) return found;
    do {
      this.run(space);
      const key = this.string();
      this.run(space);
      if (!this.took(':')) throw this.unexpected();
      found[key] = this.value(depth + 1);
    } while (this.took(','));
    if (!this.took('}')) throw this.unexpected();
    return found;
  }

  private array(depth: number): LosslessJson {
    const found: LosslessJson[] = [];
    this.at++;
    this.run(space);
    if (this.took(']')) return found;
    do found.push(this.value(depth + 1));
    while (this.took(','));
    if (!this.took(']')) throw this.unexpected();
    return found;
  }

  private string(): string {
    const start = this.at;
    if (!this.took('"')) throw this.unexpected();
    const body = this.run(plain);
    if (this.took('"')) return body;
    while (this.took('\\')) {
      this.at++;
      this.run(plain);
    }
    if (!this.took('"')) throw this.unexpected();
    try {
      return JSON.parse(this.text.slice(start, this.at)) as string;
    } catch (error) {
      throw new SyntaxError(`bad escape in the JSON string at offset ${start}`, { cause: error });
    }
  }

  private number(): number | bigint {
    number.lastIndex = this.at;
    const match = number.exec(this.text);
    if (match === null) throw this.unexpected();
    const [digits, fraction, exponent] = match;
    const start = this.at;
    this.at += digits.length;
    const value = Number(digits);
    if (fraction === undefined && exponent === undefined && !Number.isSafeInteger(value)) {
      if (digits.length <= maxDigits) return BigInt(digits);
      throw new SyntaxError(`integer of more than ${maxDigits} digits in JSON at offset ${start}`);
    }
    if (Number.isFinite(value)) return value;
    throw new SyntaxError(`number beyond the range of a double in JSON at offset ${start}`);
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) throw this.unexpected();
    this.at += word.length;
    return value;
  }

  private run(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const [found = ''] = pattern.exec(this.text) ?? [];
    this.at += found.length;
    return found;
  }

  private took(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private unexpected(): SyntaxError {
    const found = this.text.codePointAt(this.at);
    const what = found === undefined ? 'end' : JSON.stringify(String.fromCodePoint(found));
    return new SyntaxError(`unexpected ${what} in JSON at offset ${this.at}`);
  }
}

/**
 * Reads JSON and keeps every integer exact: those beyond ±(2^53 - 1) become a bigint, all others a number.
 *
 * Use it for the discovery protocol, whose timestamps count nanoseconds (about 1.8e18) and must be echoed to the digit;
 * `JSON.parse` rounds nearly all of them, and Node 20's gives no source text. Not a general replacement: it is several
 * times slower. Objects have no prototype, so no key can reach one; of a repeated key the last value counts.
 *
 * @throws SyntaxError for anything that is not JSON, nesting deeper than 100, an integer of more than 1000 digits,
 * or a number that no double can hold
 * @example
 * parse('{"latest_timestamp":1763800000000000001}')  // { latest_timestamp: 1763800000000000001n }
 */
export function parse(text: string): LosslessJson {
  return new Reader(text).document();
}

/**
 * Writes plain data as JSON; a bigint becomes a bare number.
 *
 * As with `JSON.stringify`, members that are undefined, functions or symbols are left out (null inside an array),
 * numbers that are not finite become null and `toJSON` is honoured. Unlike it, `-0` is kept, so that reading back
 * gives the same value.
 *
 * @throws TypeError when there is nothing to write, or nesting is deeper than 100, as in a cycle
 * @example
 * stringify({ latest_timestamp: 1763800000000000001n })  // '{"latest_timestamp":1763800000000000001}'
 */
export function stringify(value: unknown): string {
  const text = write(value, '', 0);
  if (text === undefined) throw new TypeError(`a ${typeof value} has no JSON form`);
  return text;
}

function write(value: unknown, key: string, depth: number): string | undefined {
  if (depth > maxDepth + 1) throw new TypeError(`value nested deeper than ${maxDepth}, or a cycle`);
  if (typeof value === 'bigint') return value.toString();
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if ('toJSON' in value && typeof value.toJSON === 'function')
    return write(value.toJSON(key), key, depth + 1);
  if (Array.isArray(value)) {
    return `[${Array.from(value, (item, index) => write(item, String(index), depth + 1) ?? 'null').join(',')}]`;
  }
  const members: string[] = [];
  for (const [name, member] of Object.entries(value)) {
    const text = write(member, name, depth + 1);
    if (text !== undefined) members.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${members.join(',')}}`;
}
