import type { Clock } from '../core/clock.js';
import { parseAddress } from './address.js';
import { reasonOf } from './discovery-event.js';
import { type Reply, readNodes, readReply } from './discovery-wire.js';
import type { NodeRing } from './node-ring.js';
import type { RegistryReply, RegistryTransport } from './transport.js';
import { within } from './within.js';

/** What a {@link Session} needs. */
export interface SessionInit {
  readonly ring: NodeRing;
  readonly transport: RegistryTransport;
  readonly clock: Clock;
  readonly zone: string;
  readonly requestTimeoutMs: number;
  readonly maxReplyBytes: number;
  /** How long a list of nodes is good for; milliseconds. */
  readonly relearnMs: number;
}

/** A question to one node. */
export interface Question {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly form: URLSearchParams;
  readonly headers?: Readonly<Record<string, string>>;
  /** When not the usual. */
  readonly timeoutMs?: number;
  /** To be aborted by whoever asks; one of its own when absent. */
  readonly control?: AbortController;
  readonly holdsProcess?: boolean;
}

/** Below this a code is the node's trouble, not an answer: -500 also while it is still filling its memory. */
const nodeTrouble = -500;

/** Asks nodes, one at a time, and keeps the ring informed of who failed. */
export class Session {
  /** This end of the last connection that answered. */
  localAddress: string | undefined;
  private learnedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly init: SessionInit) {}

  get node(): string {
    return this.init.ring.current;
  }
  /** Failures in a row after which there is no node left that was not tried, and a blip is ruled out. */
  get round(): number {
    return Math.max(2, this.init.ring.size);
  }

  /**
   * Asks one node.
   *
   * @returns its answer, be it a refusal
   * @throws Error when it gave none: nothing came, or no envelope, or trouble of its own. The ring has moved on then.
   */
  async ask(node: string, question: Question): Promise<Reply> {
    const outer = question.control?.signal;
    try {
      const reply = await this.exchange(node, question, outer);
      this.relearn(node);
      return reply;
    } catch (error) {
      // Who gave up says nothing of the node.
      if (!outer?.aborted) this.init.ring.failed(node);
      throw new Error(`${node}: ${reasonOf(error)}`, { cause: error });
    }
  }

  private async exchange(node: string, question: Question, outer?: AbortSignal): Promise<Reply> {
    const { transport, clock, requestTimeoutMs, maxReplyBytes } = this.init;
    const { method, path, form, headers, timeoutMs = requestTimeoutMs, holdsProcess = false } = question;
    const url = `${node}${path}${method === 'GET' ? `?${form}` : ''}`;
    const body = method === 'POST' ? form.toString() : undefined;
    const reply = await within({ clock, timeoutMs, signal: outer }, (signal) =>
      transport.send({ method, url, body, headers, maxReplyBytes, signal, holdsProcess }),
    );
    this.localAddress = reply.localAddress ?? this.localAddress;
    return understand(reply);
  }

  /** Asks for the other nodes now and then, on the side: nothing depends on the answer. */
  private relearn(node: string): void {
    const { clock, relearnMs, ring, zone } = this.init;
    if (clock.now() < this.learnedAt + relearnMs) return;
    this.learnedAt = clock.now();
    const scheme = node.slice(0, node.indexOf('://'));
    const question = { method: 'GET', path: '/discovery/nodes', form: new URLSearchParams() } as const;
    this.exchange(node, question).then(
      ({ data }) => ring.learn(readNodes(data, zone).flatMap((address) => nodeUrl(address, scheme))),
      () => undefined,
    );
  }
}

function nodeUrl(address: string, scheme: string): string[] {
  const parsed = parseAddress(address.includes('://') ? address : `${scheme}://${address}`);
  return typeof parsed === 'string' || !/^https?$/.test(parsed.scheme) ? [] : [parsed.url];
}

function understand({ status, body }: RegistryReply): Reply {
  // The protocol always answers 200. An envelope under another status is a server that means well; anything else is
  // not ours.
  if (status >= 500) throw new Error(`HTTP status ${status}`);
  let reply: Reply;
  try {
    reply = readReply(body);
  } catch (error) {
    throw status === 200 ? error : new Error(`HTTP status ${status}`, { cause: error });
  }
  if (reply.code <= nodeTrouble) throw new Error(`code ${reply.code} ${reply.message}`.trim());
  return reply;
}
