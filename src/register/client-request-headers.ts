import type { ClientRequest } from 'node:http';
import type { Carrier } from '../core/carrier.js';

/** What is not documented, and the same in all versions since Node 8: the headers as they will be sent, once they are set. */
interface Rendered {
  _header?: string | null;
  /** What waits for a connection. */
  readonly outputData?: readonly { data: unknown }[];
}

const end = '\r\n\r\n';

/** A header as a line, of the name whatever its case. */
const lineOf = (name: string): RegExp => new RegExp(`\\r\\n${name}:([^\\r\\n]*)`, 'i');

function text(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.join(', ');
  return value === undefined ? undefined : String(value);
}

/**
 * The headers of a request of `node:http` that was just made. Those that were given as a list, and those with an `Expect`,
 * stand in one text already; then that is written to, as long as nothing of it has left.
 */
class ClientRequestHeaders implements Carrier {
  constructor(private readonly request: ClientRequest & Rendered) {}

  get(name: string): string | undefined {
    const rendered = this.rendered;
    return rendered === undefined
      ? text(this.request.getHeader(name))
      : lineOf(name).exec(rendered)?.[1]?.trim();
  }

  set(name: string, value: string): void {
    const rendered = this.rendered;
    if (rendered === undefined) {
      this.request.setHeader(name, value);
      return;
    }
    if (!rendered.endsWith(end)) return;
    const others = rendered.replace(new RegExp(lineOf(name), 'gi'), '');
    const written = `${others.slice(0, -end.length)}\r\n${name}: ${value}${end}`;
    this.request._header = written;
    // With an `Expect` it is on its way already, as far as the list of what waits for a connection.
    const [first] = this.request.outputData ?? [];
    if (typeof first?.data === 'string' && first.data.startsWith(rendered))
      first.data = written + first.data.slice(rendered.length);
  }

  keys(): Iterable<string> {
    const rendered = this.rendered;
    if (rendered === undefined) return this.request.getHeaderNames();
    return rendered
      .split('\r\n')
      .slice(1)
      .flatMap((line) => (line.includes(':') ? [line.slice(0, line.indexOf(':')).toLowerCase()] : []));
  }

  private get rendered(): string | undefined {
    const { _header } = this.request;
    return typeof _header === 'string' ? _header : undefined;
  }
}

/** The headers of a request of `node:http` as a carrier. */
export function clientRequestHeaders(request: ClientRequest): Carrier {
  return new ClientRequestHeaders(request);
}
