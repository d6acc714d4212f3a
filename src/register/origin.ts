import type { IsInner } from './inner-host.js';

/** Where a request goes. */
export interface Origin {
  /** `http://users:8080`, without user and password. */
  readonly text: string;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Whether it stays in the network of this process; see {@link IsInner}. */
  readonly inner: boolean;
}

/** Most origins that are kept: taking a URL apart costs more than all else that a span is told. */
const most = 1000;

function parse(url: string, isInner: IsInner): Origin | undefined {
  if (!URL.canParse(url)) return undefined;
  const { origin, protocol, hostname, port } = new URL(url);
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  const usual = protocol === 'https:' ? 443 : 80;
  return { text: origin, host, port: port === '' ? usual : Number(port), inner: isInner(host) };
}

/** Takes origins apart. */
export class Origins {
  private readonly known = new Map<string, Origin | undefined>();

  constructor(readonly isInner: IsInner) {}

  /** `undefined` for what is no URL. */
  of(url: string): Origin | undefined {
    const { known } = this;
    if (known.has(url)) return known.get(url);
    const origin = parse(url, this.isInner);
    // All at once: those that are still in use are back at once, too.
    if (known.size >= most) known.clear();
    known.set(url, origin);
    return origin;
  }
}
