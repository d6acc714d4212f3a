import type { Cancellation } from '../core/cancel.js';
import type { Outcome } from '../core/outcome.js';
import { BodyEnd, BodyHold } from './body-end.js';
import { type BodyIdle, relay } from './relay.js';

/** What is known of one response's body. */
class Watch extends BodyHold {
  /** Reads the relayed body in place of the response, once that has been asked for its `body`. */
  standIn: Response | undefined = undefined;
  constructor(
    end: BodyEnd,
    readonly idle: BodyIdle | undefined,
  ) {
    super(end);
  }
  /** Whether it is read by way of a stand-in. */
  get relayed(): boolean {
    return this.standIn !== undefined || this.idle !== undefined;
  }
}

// Shared by all copies of the package: a response is watched once, whoever asks.
const key: unique symbol = Symbol.for('keelson.body.v1');
type Watched = Response & { [key]: Watch };
type Read = () => Promise<unknown>;

/** All that resolve with the whole body. An implementation of fetch may lack some. */
const consumers = ['text', 'json', 'arrayBuffer', 'blob', 'bytes', 'formData'] as const;
type Consumer = (typeof consumers)[number];

/** What a response of one implementation of fetch can do by itself, and the same with an eye on its body. */
interface Kind {
  readonly body: (response: Response) => ReadableStream<Uint8Array> | null;
  readonly bodyUsed: (response: Response) => boolean;
  readonly clone: (response: Response) => Response;
  readonly watched: object;
}

const kinds = new WeakMap<object, Kind>();

function getter<T>(prototype: object, name: string): (response: Response) => T {
  for (let at: object | null = prototype; at !== null; at = Object.getPrototypeOf(at)) {
    const get = Object.getOwnPropertyDescriptor(at, name)?.get;
    if (get) return (response) => get.call(response) as T;
  }
  // No response of the platform's: a body that is a plain property cannot be watched.
  return () => null as T;
}

function kindOf(prototype: object): Kind {
  let kind = kinds.get(prototype);
  if (kind === undefined) {
    kind = makeKind(prototype);
    kinds.set(prototype, kind);
  }
  return kind;
}

function makeKind(prototype: object): Kind {
  const native = prototype as Response & Record<string, unknown>;
  const kind: Kind = {
    body: getter(prototype, 'body'),
    bodyUsed: getter(prototype, 'bodyUsed'),
    clone: (response) => native.clone.call(response),
    watched: Object.create(prototype) as object,
  };
  const method = (name: string, value: unknown): void => {
    Object.defineProperty(kind.watched, name, {
      value,
      writable: true,
      configurable: true,
      enumerable: false,
    });
  };
  for (const name of consumers) {
    if (typeof native[name] === 'function') method(name, consumer(kind, name, native[name] as Read));
  }
  // Newer than most platforms, and a stream: whoever asks for it is given that of the stand-in.
  if (typeof native['textStream'] === 'function') {
    const stream = native['textStream'] as Read;
    method('textStream', function (this: Watched) {
      return stream.call(taken(this, kind) ? this : standInOf(this, kind));
    });
  }
  method('clone', function (this: Watched) {
    return cloneOf(this, kind);
  });
  Object.defineProperties(kind.watched, {
    body: {
      configurable: true,
      get(this: Watched) {
        return taken(this, kind) ? kind.body(this) : standInOf(this, kind).body;
      },
    },
    bodyUsed: {
      configurable: true,
      get(this: Watched) {
        return this[key].standIn?.bodyUsed ?? kind.bodyUsed(this);
      },
    },
  });
  return kind;
}

/** Somebody reads it, or has, without a stand-in. A second reader is refused by the platform, which says nothing of the body. */
function taken(response: Watched, kind: Kind): boolean {
  if (response[key].standIn !== undefined) return false;
  return kind.bodyUsed(response) || kind.body(response)?.locked === true;
}

function consumer(kind: Kind, name: Consumer, native: Read): Read {
  return function (this: Watched) {
    const watch = this[key];
    if (taken(this, kind)) return native.call(this);
    if (watch.relayed) return (standInOf(this, kind) as unknown as Record<Consumer, Read>)[name]();
    return native.call(this).then(
      (value) => {
        watch.complete();
        return value;
      },
      (error: unknown) => {
        // It arrived whole, and was no JSON.
        if ((error as { name?: unknown } | null)?.name === 'SyntaxError') watch.complete();
        else watch.fail(error);
        throw error;
      },
    );
  };
}

/**
 * The platform's own stream cannot be watched in all the ways there are to read it, so it is read by a relay. The headers
 * are for `blob` and `formData`, which look at the content type.
 */
function standInOf(response: Watched, kind: Kind): Response {
  const watch = response[key];
  if (watch.standIn === undefined) {
    const Same = response.constructor as typeof Response;
    const body = relay(kind.body(response) as ReadableStream<Uint8Array>, watch, watch.idle);
    watch.standIn = new Same(body, { headers: response.headers });
  }
  return watch.standIn;
}

const facts = ['url', 'redirected', 'type', 'status', 'statusText', 'ok'] as const;

/** Gives a copy what only a response from the network has. */
function alike(copy: Response, response: Response): Response {
  for (const fact of facts) Object.defineProperty(copy, fact, { value: response[fact], configurable: true });
  const { clone } = copy;
  Object.defineProperty(copy, 'clone', {
    value: () => alike(clone.call(copy), response),
    writable: true,
    configurable: true,
  });
  return copy;
}

function cloneOf(response: Watched, kind: Kind): Response {
  const watch = response[key];
  if (watch.relayed && !taken(response, kind)) return alike(standInOf(response, kind).clone(), response);
  const copy = kind.clone(response);
  attach(copy, kind, new Watch(watch.end, undefined));
  if (Object.hasOwn(response, 'redirected')) markRedirected(copy);
  return copy;
}

function attach(response: Response, kind: Kind, watch: Watch): boolean {
  if (!Reflect.setPrototypeOf(response, kind.watched)) return false;
  Object.defineProperty(response, key, { value: watch });
  return true;
}

/** What {@link watchBody} may be told. */
export interface BodyContext {
  /** Whether the caller gave up. */
  readonly cancel?: Cancellation | undefined;
  /** Ends a body that is silent. */
  readonly idle?: BodyIdle | undefined;
}

/**
 * Watches the body of a response; the second time for one response gives the same. The response stays the platform's own
 * object: it gets a prototype between itself and its class, whose methods note the end of the body.
 *
 * @param response - as it came from `fetch`
 * @param classify - what the response says without its body
 * @param context - taken the first time
 * @returns `undefined` when there is no body, or none that can be watched
 */
export function watchBody(
  response: Response,
  classify: (response: Response) => Outcome,
  context?: BodyContext,
): BodyEnd | undefined {
  const known = (response as Watched)[key] as Watch | undefined;
  if (known !== undefined) return known.end;
  const prototype = Object.getPrototypeOf(response) as object | null;
  if (prototype === null) return undefined;
  const kind = kindOf(prototype);
  const body = kind.body(response);
  // Nobody reads an empty body, and nobody has to.
  if (typeof body?.getReader !== 'function' || response.headers.get('content-length') === '0')
    return undefined;
  const watch = new Watch(new BodyEnd(classify(response), context?.cancel), context?.idle);
  return attach(response, kind, watch) ? watch.end : undefined;
}

/** Cancels the body of a response that nobody will read. Does nothing when somebody reads it. */
export function cancelBody(response: Response): void {
  const watch = (response as Watched)[key] as Watch | undefined;
  if (watch?.standIn === undefined) {
    const body = kindOf(platformOf(response)).body(response);
    if (!body || body.locked) return;
    watch?.drop();
    body.cancel().catch(() => undefined);
  } else if (!watch.standIn.body?.locked) {
    watch.standIn.body?.cancel().catch(() => undefined);
  }
}

/** The prototype that the platform gave it. */
function platformOf(response: Response): object {
  const prototype = Object.getPrototypeOf(response) as object;
  return (response as Watched)[key] === undefined ? prototype : (Object.getPrototypeOf(prototype) as object);
}

/** Redirects were followed by hand, so the platform does not know of them. */
export function markRedirected(response: Response): Response {
  return Object.defineProperty(response, 'redirected', { value: true, configurable: true });
}
