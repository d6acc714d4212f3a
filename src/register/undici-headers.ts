import type { Carrier } from '../core/carrier.js';

/** What undici tells of a request on its channels; the same since version 6. */
export interface UndiciRequest {
  readonly method: string;
  readonly origin: string | URL;
  readonly path: string;
  readonly upgrade?: unknown;
  /** Names and values in turn; not frozen. */
  readonly headers: unknown;
  addHeader?(name: string, value: string): unknown;
}

function text(value: unknown): string | undefined {
  return Array.isArray(value) ? value.join(', ') : typeof value === 'string' ? value : undefined;
}

class UndiciHeaders implements Carrier {
  private readonly list: unknown[];

  constructor(private readonly request: UndiciRequest) {
    this.list = Array.isArray(request.headers) ? request.headers : [];
  }

  get(name: string): string | undefined {
    const at = this.find(name, 0);
    return at < 0 ? undefined : text(this.list[at + 1]);
  }

  set(name: string, value: string): void {
    const { list, request } = this;
    const at = this.find(name, 0);
    if (at < 0) {
      if (typeof request.addHeader === 'function') request.addHeader(name, value);
      else list.push(name, value);
      return;
    }
    list[at + 1] = value;
    for (let more = this.find(name, at + 2); more >= 0; more = this.find(name, more)) list.splice(more, 2);
  }

  keys(): Iterable<string> {
    return this.list.filter((_, at) => at % 2 === 0).map((name) => String(name).toLowerCase());
  }

  private find(name: string, from: number): number {
    const { list } = this;
    for (let at = from; at + 1 < list.length; at += 2) {
      const other = list[at];
      if (typeof other === 'string' && other.length === name.length && other.toLowerCase() === name)
        return at;
    }
    return -1;
  }
}

/** The headers of a request of undici as a carrier. */
export function undiciHeaders(request: UndiciRequest): Carrier {
  return new UndiciHeaders(request);
}
