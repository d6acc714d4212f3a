import {
  type ContextManager,
  context,
  type MeterProvider,
  metrics,
  propagation,
  type TextMapPropagator,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import { YieldingTracerProvider } from './yielding-tracer.js';

/** What can be registered for the process. */
export type Signal = 'trace' | 'metrics' | 'propagation' | 'context';

// Where all copies of the api of one major keep what was registered with any of them.
const registry = Symbol.for('opentelemetry.js.api.1');
type Registered = { readonly version?: string } & { readonly [Name in Signal]?: unknown };
const home = globalThis as { readonly [registry]?: Registered };

/** Whether somebody has registered that. */
export function isRegistered(signal: Signal): boolean {
  return standing(signal) !== undefined;
}

/** What stands in the place of a signal now. A second copy of the api may have put it there. */
function standing(signal: Signal): unknown {
  return home[registry]?.[signal];
}

/** The version of the copy of the api that was used first; the others can register only if theirs is the same. */
export function registeredVersion(): string | undefined {
  return home[registry]?.version;
}

/** What is to be registered; what is left out is not. */
export interface Globals {
  readonly tracerProvider?: TracerProvider | undefined;
  readonly meterProvider?: MeterProvider | undefined;
  readonly propagator?: TextMapPropagator | undefined;
  readonly contextManager?: ContextManager | undefined;
  /** Told when somebody registers later what we have registered: it is theirs from then on. */
  readonly onYield: (signal: Signal) => void;
}

/** What became of it. */
export interface Registration {
  /** What is ours. */
  readonly registered: ReadonlySet<Signal>;
  /** What the api would not take, though nobody has it: two copies of it that do not fit. */
  readonly refused: ReadonlySet<Signal>;
  /** Takes away what is still ours. */
  undo(): void;
}

/** The parts of the api that have one provider for the process. */
interface GlobalApi<Provider> {
  readonly signal: Signal;
  readonly owner: object;
  readonly method: string;
  set(provider: Provider): boolean;
  disable(): void;
}

const apis = {
  trace: {
    signal: 'trace',
    owner: trace,
    method: 'setGlobalTracerProvider',
    set: (provider: TracerProvider) => trace.setGlobalTracerProvider(provider),
    disable: () => trace.disable(),
  },
  metrics: {
    signal: 'metrics',
    owner: metrics,
    method: 'setGlobalMeterProvider',
    set: (provider: MeterProvider) => metrics.setGlobalMeterProvider(provider),
    disable: () => metrics.disable(),
  },
  propagation: {
    signal: 'propagation',
    owner: propagation,
    method: 'setGlobalPropagator',
    set: (propagator: TextMapPropagator) => propagation.setGlobalPropagator(propagator),
    disable: () => propagation.disable(),
  },
} as const;

/**
 * Registers one thing, and steps back when somebody registers another: the api itself would refuse that one, and say so
 * only where nobody looks. An SDK that a user sets up in code is meant. One that comes late by another copy of the api is
 * refused all the same: that copy looks only whether the place is taken.
 *
 * @param onYield - told of the other, once
 * @returns what takes ours away; `undefined` if it was refused
 */
function hold<Provider>(
  api: GlobalApi<Provider>,
  ours: Provider,
  onYield: (other: Provider) => void,
): (() => void) | undefined {
  if (!api.set(ours)) return undefined;
  const put = standing(api.signal);
  const owner = api.owner as Record<string, unknown>;
  const listen = (other: Provider): boolean => {
    if (other === ours) return true;
    release();
    const taken = api.set(other);
    onYield(other);
    return taken;
  };
  // On the object itself: its own method stays behind it.
  Object.defineProperty(owner, api.method, { configurable: true, writable: true, value: listen });
  const release = (): void => {
    // Somebody may have put another on top, or have taken ours away with `disable()`.
    if (owner[api.method] === listen) delete owner[api.method];
    if (standing(api.signal) === put) api.disable();
  };
  return release;
}

/**
 * Registers for the process what nobody has registered yet.
 *
 * A context manager stays when somebody comes later: what runs already is in its contexts, and one serves all.
 */
export function registerGlobals({
  tracerProvider,
  meterProvider,
  propagator,
  contextManager,
  onYield,
}: Globals): Registration {
  const registered = new Set<Signal>();
  const refused = new Set<Signal>();
  const undo = new Map<Signal, () => void>();

  const add = <Provider>(
    signal: 'trace' | 'metrics' | 'propagation',
    ours: Provider | undefined,
    taken: (other: Provider) => void = () => undefined,
  ): void => {
    if (ours === undefined || isRegistered(signal)) return;
    const release = hold(apis[signal] as unknown as GlobalApi<Provider>, ours, (other) => {
      registered.delete(signal);
      undo.delete(signal);
      taken(other);
      onYield(signal);
    });
    if (release === undefined) {
      refused.add(signal);
      return;
    }
    registered.add(signal);
    undo.set(signal, release);
  };

  if (contextManager !== undefined && !isRegistered('context')) {
    if (context.setGlobalContextManager(contextManager)) {
      registered.add('context');
      const put = standing('context');
      undo.set('context', () => {
        if (standing('context') === put) context.disable();
      });
    } else refused.add('context');
  }
  if (tracerProvider !== undefined) {
    const yielding = new YieldingTracerProvider(tracerProvider);
    add<TracerProvider>('trace', yielding, (other) => {
      yielding.successor = other;
    });
  }
  add('metrics', meterProvider);
  add('propagation', propagator);
  return {
    registered,
    refused,
    undo() {
      for (const one of undo.values()) one();
      undo.clear();
      registered.clear();
    },
  };
}
