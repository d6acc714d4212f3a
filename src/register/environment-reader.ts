import { type Bound, isInRange, rangeText } from '../core/options.js';
import { isSoundHeader, soundHeaders } from '../otlp/header-source.js';
import { quoted } from '../telemetry/line-text.js';

/** The variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How much is shown of a value that cannot be understood. */
const mostShown = 100;

/** A value as it is shown: on one line, whatever it is, and without the password of a URL. */
export function shown(value: string): string {
  const safe = value.replace(/\/\/[^/]*@/g, '//...@');
  return quoted(safe.length > mostShown ? `${safe.slice(0, mostShown)}...` : safe);
}

function isEscaped(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Decodes a value of a list; one that is escaped wrongly stands for itself. */
function decoded(text: string): string {
  return isEscaped(text) ? decodeURIComponent(text) : text;
}

/**
 * Reads variables. What cannot be understood is told in one clear line, and counts as not given: a service must not fail to
 * start for what only watches it.
 */
export class EnvironmentReader {
  /** What holds for several signals is read for each of them, and said once. */
  private readonly told = new Set<string>();

  constructor(
    private readonly environment: Environment,
    private readonly warn: (message: string) => void,
  ) {}

  /** The first of these that is set; an empty one counts as not set, as OpenTelemetry's specification has it. */
  text(...names: readonly string[]): string | undefined {
    for (const name of names) {
      const value = this.environment[name]?.trim();
      if (value !== undefined && value !== '') return value;
    }
    return undefined;
  }

  /** `true` or `false`, in any case. */
  flag(name: string): boolean | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (/^(true|false)$/i.test(value)) return value.toLowerCase() === 'true';
    return this.refuse(name, value, 'true or false');
  }

  /** One of some words, in any case. */
  choice<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    return (
      words.find((word) => word === value.toLowerCase()) ??
      this.refuse(name, value, `one of ${words.join(', ')}`)
    );
  }

  /** A number within the range that the option has which it sets. */
  number(name: string, bound: Bound): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    return isInRange(number, bound) ? number : this.refuse(name, value, rangeText(bound));
  }

  /** Words, separated by commas. */
  list(name: string): readonly string[] | undefined {
    const words = this.text(name)
      ?.split(',')
      .map((word) => word.trim().toLowerCase())
      .filter((word) => word !== '');
    return words === undefined || words.length === 0 ? undefined : words;
  }

  /** Names and values, `key=value,key=value`, both percent-encoded. What is none is not shown: it may be a secret. */
  pairs(name: string): Record<string, string> | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const pairs: Record<string, string> = Object.create(null);
    for (const part of text.split(',')) {
      if (part.trim() === '') continue;
      const split = part.indexOf('=');
      const key = decoded(part.slice(0, Math.max(0, split)).trim());
      if (key === '')
        this.note(`${name} must be a list of key=value, separated by commas; what is none is left out`);
      else pairs[key] = decoded(part.slice(split + 1).trim());
    }
    return pairs;
  }

  /** The same as headers of requests: others would fail each of them. */
  headers(name: string): Record<string, string> {
    const pairs = Object.entries(this.pairs(name) ?? {});
    const sound = pairs.filter(([key, value]) => isSoundHeader(key, value));
    if (sound.length < pairs.length) this.note(`${name}: ${soundHeaders}; others are left out`);
    return Object.fromEntries(sound);
  }

  /** A URL of http or https. */
  url(name: string): string | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (url !== undefined && /^https?:$/.test(url.protocol) && isEscaped(url.username + url.password))
      return value;
    return this.refuse(name, value, 'a URL of http or https');
  }

  /** Says that a value counts as not given. */
  refuse(name: string, value: string, expected: string): undefined {
    this.note(`${name} must be ${expected}, got ${shown(value)}; the default is used`);
    return undefined;
  }

  /** Says something about the environment. */
  note(message: string): void {
    if (this.told.has(message)) return;
    this.told.add(message);
    this.warn(message);
  }
}
