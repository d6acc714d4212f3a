import type http from 'node:http';
import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { reasonOf } from './discovery-event.js';
import { jsonLines, readText } from './http-body.js';
import { type HttpReply, httpFailure, isTrouble } from './http-failure.js';
import { HttpLink } from './http-link.js';
import { localAddressTowards, readableAddress } from './local-address.js';
import { NodeRing } from './node-ring.js';
import { Late, within } from './within.js';

/** What {@link HttpNodes} needs. */
export interface HttpNodesInit {
  /** Base URLs without a trailing slash; at least one. */
  readonly nodes: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Longest answer, and longest line of one that goes on for ever. */
  readonly maxReplyBytes: number;
  /** Of TLS connections, in the platform's words. */
  readonly tls?: object | undefined;
}

/** A question to whichever node answers. */
export interface HttpQuestion {
  readonly method: string;
  /** Begins with a slash; with the query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
  /** When not the usual. */
  readonly timeoutMs?: number | undefined;
  readonly holdsProcess?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A question whose answer goes on for ever. */
export interface HttpLinesQuestion extends HttpQuestion {
  readonly signal: AbortSignal;
  /** Longest silence after which the other side counts as gone; milliseconds. For ever if not given. */
  readonly idleMs?: number | undefined;
}

const problem = 'must be base URLs such as "http://127.0.0.1:2379"';

/**
 * Checks base URLs.
 *
 * @param field - name of the option, for messages: `etcd.endpoints`
 * @throws TypeError when there is none, or one that cannot be asked
 */
export function nodeUrls(field: string, nodes: unknown): string[] {
  if (!Array.isArray(nodes) || nodes.length === 0) throw new TypeError(`${field} ${problem}, at least one`);
  return nodes.map((node: unknown) => {
    const url = typeof node === 'string' && URL.canParse(node) ? new URL(node) : undefined;
    if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username || url.password)
      throw new TypeError(`${field} ${problem}, got ${JSON.stringify(node)}`);
    return url.href.replace(/\/+$/, '');
  });
}

/** Asks the nodes of a registry over HTTP: one until it fails, then the next. */
export class HttpNodes {
  private readonly ring: NodeRing;
  private readonly link: HttpLink;
  private ownAddress: string | undefined;

  constructor(private readonly init: HttpNodesInit) {
    this.ring = new NodeRing(init.nodes, init.random);
    this.link = new HttpLink(init);
  }

  /**
   * Asks one node after the other until one answers.
   *
   * @returns the answer, whatever its status; one that tells of trouble only when no node had a better one
   * @throws Error when none came in time, over all nodes
   */
  ask(question: HttpQuestion): Promise<HttpReply> {
    const { clock, requestTimeoutMs } = this.init;
    const timeoutMs = question.timeoutMs ?? requestTimeoutMs;
    const until = clock.now() + timeoutMs;
    return within({ clock, timeoutMs, signal: question.signal }, async (signal) => {
      for (let left = this.ring.size; ; left--) {
        const node = this.ring.current;
        const remainingMs = Math.max(1, until - clock.now());
        try {
          // A node that hangs must leave time for the others.
          const shareMs = left > 1 ? remainingMs / 2 : remainingMs;
          const reply = await within({ clock, timeoutMs: shareMs, signal }, (own) =>
            this.once(node, question, own),
          );
          if (!isTrouble(reply.status)) return reply;
          this.ring.failed(node);
          if (left <= 1) return reply;
        } catch (error) {
          // Who gave up says nothing of the node.
          if (!signal.aborted || signal.reason instanceof Late) this.ring.failed(node);
          if (left <= 1 || signal.aborted) throw new Error(`${node}: ${reasonOf(error)}`, { cause: error });
        }
      }
    });
  }

  /**
   * Asks the node of now for what goes on for ever.
   *
   * @throws Error when it cannot go on; RegistryRefusal when the node refuses
   */
  async *lines(question: HttpLinesQuestion): AsyncGenerator<unknown, void, undefined> {
    const { clock, requestTimeoutMs, maxReplyBytes } = this.init;
    const { signal, idleMs = Number.POSITIVE_INFINITY } = question;
    const node = this.ring.current;
    const control = new AbortController();
    const giveUp = (): void => control.abort(signal.reason);
    signal.addEventListener('abort', giveUp);
    if (signal.aborted) giveUp();
    try {
      const response = await within(
        { clock, timeoutMs: requestTimeoutMs, signal: control.signal },
        (opening) => {
          opening.addEventListener('abort', () => control.abort(opening.reason));
          return this.open(node, question, control.signal);
        },
      );
      if (response.statusCode !== 200) throw httpFailure(await this.read(node, response, control.signal));
      const silent = (): void => control.abort(new Late(`nothing was heard for ${idleMs} ms`));
      yield* jsonLines(watched(response, { clock, idleMs, silent }), maxReplyBytes);
    } catch (error) {
      if (!signal.aborted || signal.reason instanceof Late) this.ring.failed(node);
      const { reason } = control.signal;
      throw reason instanceof Late ? new Error(`${node}: ${reason.message}`, { cause: error }) : error;
    } finally {
      signal.removeEventListener('abort', giveUp);
      control.abort();
    }
  }

  /** A node did not answer as it should: the next one is asked from now on. */
  failed(node: string): void {
    this.ring.failed(node);
  }

  /** Which address of this host leads to the node of now. */
  async localAddress(): Promise<string | undefined> {
    return readableAddress(this.ownAddress) ?? (await localAddressTowards(this.ring.current));
  }

  close(): void {
    this.link.close();
  }

  private async once(node: string, question: HttpQuestion, signal: AbortSignal): Promise<HttpReply> {
    return this.read(node, await this.open(node, question, signal), signal);
  }

  private async open(
    node: string,
    question: HttpQuestion,
    signal: AbortSignal,
  ): Promise<http.IncomingMessage> {
    const { method, path, headers, body, holdsProcess = false } = question;
    const url = `${node}${path}`;
    const response = await this.link.open({ method, url, headers, body, signal, holdsProcess });
    this.ownAddress = response.socket.localAddress ?? this.ownAddress;
    return response;
  }

  private async read(node: string, response: http.IncomingMessage, signal: AbortSignal): Promise<HttpReply> {
    const { clock, requestTimeoutMs, maxReplyBytes } = this.init;
    const text = await within({ clock, timeoutMs: requestTimeoutMs, signal }, () =>
      readText(response, maxReplyBytes),
    );
    return { status: response.statusCode ?? 0, headers: response.headers, text, node };
  }
}

/** Tells when nothing was heard for too long. */
async function* watched(
  response: AsyncIterable<Buffer>,
  { clock, idleMs, silent }: { clock: Clock; idleMs: number; silent: () => void },
): AsyncGenerator<Buffer, void, undefined> {
  const arm = (): { cancel(): void } | undefined =>
    idleMs === Number.POSITIVE_INFINITY ? undefined : clock.after(idleMs, silent);
  let timer = arm();
  try {
    for await (const chunk of response) {
      timer?.cancel();
      yield chunk;
      timer = arm();
    }
  } finally {
    timer?.cancel();
  }
}
