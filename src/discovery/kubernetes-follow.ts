import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { type Backoff, fullJitterMs } from './backoff.js';
import { httpFailure } from './http-failure.js';
import type { KubernetesAccess } from './kubernetes-access.js';
import { isFields } from './kubernetes-slices.js';
import { rest } from './pause.js';
import { RegistryRefusal } from './refusal.js';

/** How many watches of one service in a row got nowhere. */
export interface Strain {
  fruitless: number;
}

/** What a {@link KubernetesFollow} needs. */
export interface KubernetesFollowInit {
  readonly access: KubernetesAccess;
  readonly clock: Clock;
  readonly random: Random;
  readonly namespace: string;
  /** Name of the Service object. */
  readonly name: string;
  readonly watchMs: number;
  readonly requestTimeoutMs: number;
  /** Outlives a run: each begins with a list, and that alone is no sign that watches will go on. */
  readonly strain: Strain;
  /** All slices of the service as they are now. */
  readonly show: (slices: Iterable<unknown>) => void;
}

/** Objects of one answer; a longer list comes in pieces. */
const pageSize = 500;
/** Slices of one service that are remembered: 100 000 endpoints. What is sent must not fill the memory. */
const maxSlices = 1_000;
/** Bookmarks come about once a minute; who is silent for longer is asked again, which costs little. */
const silenceMs = 90_000;
/** Least time between two watches. */
const gapMs = 1_000;

/** A watch that said nothing and ended sooner got nowhere; over a quiet service one lasts for minutes. */
const steadyMs = 10_000;
/** Unless it was asked to end sooner: then it counts when it lasted for so much of that. The server's second is not ours. */
const steadyShare = 0.9;
/** Watches in a row that got nowhere, after which the way to the server itself is doubted. */
const maxFruitless = 2;
const retries: Backoff = { firstMs: 1_000, maxMs: 30_000 };

/** Status of HTTP, and code of an event. */
const gone = 410;

/** The version of the list is too old for the server: everything has to be read anew. */
class Gone extends Error {}

/** Follows the slices of one service: a list, and from its version on what changes. */
export class KubernetesFollow {
  private slices = new Map<string, unknown>();
  private version = '';
  /** Whether the watch of now has said anything. */
  private heard = false;
  /** For how long it was asked to go on. */
  private askedMs = 0;

  constructor(private readonly init: KubernetesFollowInit) {}

  /** @throws Error when it cannot go on */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, show, strain } = this.init;
    if (strain.fruitless > maxFruitless) await rest({ clock, signal }, this.strainMs());
    for (let anew = true; !signal.aborted; ) {
      if (anew) {
        await this.list(signal);
        show(this.slices.values());
      }
      const begunMs = clock.now();
      anew = await this.watch(signal);
      const lasted = clock.now() - begunMs >= Math.min(steadyMs, steadyShare * this.askedMs);
      strain.fruitless = this.heard || lasted ? 0 : strain.fruitless + 1;
      // Whoever follows tells that, and begins with a list, at ever longer intervals.
      if (strain.fruitless > maxFruitless)
        throw new Error(
          `${strain.fruitless} watches in a row got nowhere${anew ? ': too old a version' : ''}`,
        );
      await rest({ clock, signal }, gapMs * (0.5 + 0.5 * random()) + this.strainMs());
    }
  }

  /** The first that got nowhere may be chance: a list that grew too old is read anew without delay. */
  private strainMs(): number {
    const { strain, random } = this.init;
    return strain.fruitless > 1 ? fullJitterMs(strain.fruitless - 1, random, retries) : 0;
  }

  /** @returns whether everything has to be read anew */
  private async watch(signal: AbortSignal): Promise<boolean> {
    this.heard = false;
    try {
      await this.hear(signal);
      return false;
    } catch (error) {
      if (error instanceof Gone) return true;
      // A stream that was torn is taken up where it ended; one that never said a word may never do.
      if (!this.heard || signal.aborted) throw error;
      return false;
    }
  }

  private async hear(signal: AbortSignal): Promise<void> {
    const { access, random, watchMs } = this.init;
    // Not all clients at the same time.
    const seconds = Math.ceil((watchMs * (0.5 + 0.5 * random())) / 1_000);
    this.askedMs = seconds * 1_000;
    const { nodes, headers } = await access.way();
    const path = this.path({
      watch: '1',
      resourceVersion: this.version,
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(seconds),
    });
    const question = { method: 'GET', path, headers, signal, idleMs: silenceMs };
    try {
      for await (const event of nodes.lines(question)) this.apply(event);
    } catch (error) {
      throw isGone(error) ? new Gone('the version is too old', { cause: error }) : error;
    }
  }

  private async list(signal: AbortSignal): Promise<void> {
    const { access } = this.init;
    const slices = new Map<string, unknown>();
    let version = '';
    let next = '';
    let pages = 0;
    do {
      if (++pages > maxSlices) throw new RangeError('a list without an end');
      const { nodes, headers } = await access.way();
      const path = this.path({ limit: String(pageSize), ...(next === '' ? {} : { continue: next }) });
      const reply = await nodes.ask({ method: 'GET', path, headers, signal });
      if (reply.status !== 200) throw httpFailure(reply);
      const answer: unknown = JSON.parse(reply.text);
      const items = isFields(answer) ? answer['items'] : undefined;
      const about = isFields(answer) && isFields(answer['metadata']) ? answer['metadata'] : {};
      // An empty list of Go's is null.
      if (!(items === null || Array.isArray(items))) throw new TypeError('the answer is no list');
      for (const item of items ?? []) remember(slices, item);
      version = textOf(about['resourceVersion']);
      next = textOf(about['continue']);
    } while (next !== '');
    this.slices = slices;
    this.version = version;
  }

  private apply(event: unknown): void {
    if (!isFields(event) || !isFields(event['object'])) throw new TypeError('an event has no object');
    const { type, object } = event as { type?: unknown; object: { readonly [field: string]: unknown } };
    if (type === 'ERROR') {
      const { code, message, reason } = object;
      if (code === gone || reason === 'Expired' || reason === 'Gone') throw new Gone(String(message));
      throw new Error(`the watch failed: ${String(message ?? code)}`);
    }
    const about = isFields(object['metadata']) ? object['metadata'] : {};
    if (type === 'DELETED') this.slices.delete(textOf(about['name']));
    else if (type === 'ADDED' || type === 'MODIFIED') remember(this.slices, object);
    else if (type !== 'BOOKMARK') throw new TypeError(`an event of type ${String(type)}`);
    // Not before: one that could not be read must not be passed over.
    this.heard = true;
    this.version = textOf(about['resourceVersion']) || this.version;
    if (type !== 'BOOKMARK') this.init.show(this.slices.values());
  }

  private path(query: Readonly<Record<string, string>>): string {
    const { namespace, name } = this.init;
    const all = new URLSearchParams({ labelSelector: `kubernetes.io/service-name=${name}`, ...query });
    return `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/endpointslices?${all}`;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isGone(error: unknown): boolean {
  return error instanceof RegistryRefusal && error.status === gone;
}

function remember(slices: Map<string, unknown>, slice: unknown): void {
  const about = isFields(slice) && isFields(slice['metadata']) ? slice['metadata'] : {};
  const name = textOf(about['name']);
  if (name === '') throw new TypeError('a slice has no name');
  if (slices.size >= maxSlices && !slices.has(name)) throw new RangeError(`more than ${maxSlices} slices`);
  // The rest of it, such as who wrote which field, can be longer than this.
  const { addressType, endpoints, ports } = slice as { readonly [field: string]: unknown };
  slices.set(name, { addressType, endpoints, ports });
}
