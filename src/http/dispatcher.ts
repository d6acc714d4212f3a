/** The part of undici's Agent that is used here. */
export interface AgentLike {
  /** Waits for requests under way, then closes. */
  close(): Promise<void>;
}

/** The part of the `undici` package that is used here; its versions differ in much else. */
export interface UndiciLike {
  /** Its pool of connections. */
  readonly Agent: new (
    options: Record<string, unknown>,
  ) => unknown;
  /** Its own fetch, the one that surely takes its own Agent. */
  readonly fetch: unknown;
}

type AgentClass = new (options: Record<string, unknown>) => AgentLike;

interface Host {
  readonly Response?: unknown;
  readonly process?: { readonly versions?: { readonly undici?: string } };
  readonly [slot: symbol]: unknown;
}

let known: { readonly version: string; readonly slot: symbol } | undefined;

/** From version 8 on undici has a handler interface of its own, and another slot for the dispatcher that uses it. */
function slotOf(version: string): symbol {
  if (known?.version === version) return known.slot;
  const major = Number.parseInt(version, 10);
  const slot = Symbol.for(`undici.globalDispatcher.${major >= 8 ? 2 : 1}`);
  // Asked for with each request, and half a microsecond to make.
  known = { version, slot };
  return slot;
}

/** The dispatcher that the platform's fetch uses unless told otherwise; `undefined` where it is not undici's. */
export function globalDispatcher(): object | undefined {
  const host = globalThis as unknown as Host;
  const version = host.process?.versions?.undici;
  if (version === undefined) return undefined;
  const slot = slotOf(version);
  // Node 20 loads its fetch at the first touch, and the dispatcher with it.
  if (host[slot] === undefined) void host.Response;
  return host[slot] as object | undefined;
}

/** Options that an Agent was given; the ones that it gives itself are `undefined` or without bound. */
function hasOptions(agent: object): boolean {
  const slot = Object.getOwnPropertySymbols(agent).find(({ description }) => description === 'options');
  const options = slot === undefined ? undefined : (agent as Record<symbol, unknown>)[slot];
  return Object.values(options ?? {}).some(
    (value) => value !== undefined && value !== Number.POSITIVE_INFINITY,
  );
}

/**
 * The class to make pools of, if the dispatcher is the one that the platform made. A dispatcher that somebody put in its
 * place (a proxy, a mock, an agent with options or interceptors) is there for a reason, and is left to do its work.
 */
export function plainAgentClass(dispatcher: object | undefined): AgentClass | undefined {
  if (dispatcher === undefined) return undefined;
  const prototype = Object.getPrototypeOf(dispatcher) as {
    readonly dispatch?: unknown;
    readonly constructor: AgentClass;
  };
  const composed = (dispatcher as { dispatch?: unknown }).dispatch !== prototype.dispatch;
  if (prototype.constructor.name !== 'Agent' || composed || hasOptions(dispatcher)) return undefined;
  return prototype.constructor;
}

/** The connections to one endpoint. */
export interface Sockets {
  /** What to give to fetch as `dispatcher`; `undefined` leaves it to the platform. Asked for each request. */
  current(): object | undefined;
  /** Closes idle connections now, and the others when their request has ended. */
  close(): void;
}

const nothing = (): void => undefined;

/** Connections made by a class that is known from the start. */
export function ownSockets(Agent: AgentClass, options: Record<string, unknown>): Sockets {
  let agent: AgentLike | undefined;
  return {
    current: () => {
      agent ??= new Agent(options);
      return agent;
    },
    close: () => void agent?.close().catch(nothing),
  };
}

/** Connections of our own as long as nobody replaces the platform's dispatcher, which may happen at any time. */
export function platformSockets(options: Record<string, unknown>): Sockets {
  let seen: object | undefined;
  let ours = false;
  let agent: AgentLike | undefined;
  return {
    current: () => {
      const now = globalDispatcher();
      if (now !== seen) {
        seen = now;
        const Agent = plainAgentClass(now);
        ours = Agent !== undefined;
        if (Agent !== undefined) agent ??= new Agent(options);
      }
      return ours ? agent : undefined;
    },
    close: () => void agent?.close().catch(nothing),
  };
}

/** No connections of our own. */
export const noSockets: Sockets = { current: () => undefined, close: nothing };
