import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { type DiscoveryEvent, reasonOf, teller } from './discovery-event.js';
import type { ServiceInstance } from './instance.js';
import { JointRegistration } from './joint-registration.js';
import { type Choice, JointWatch } from './joint-watch.js';
import type { Registrar, Registration, Registry } from './registrar.js';
import type { Resolution, Resolver, Watch } from './resolver.js';

/** Somewhere to find services in, and to register if it can. */
export type Source = Registry | Resolver;

/** What several sources make together: a registry if one of them is, else a resolver. */
export type Joint<S extends readonly Source[]> = [Extract<S[number], Registrar>] extends [never]
  ? Resolver
  : Registry;

/** What {@link joint} needs. */
export interface JointInit {
  readonly owner: string;
  readonly sources: readonly Source[];
  readonly registerIn: readonly Registrar[] | undefined;
  readonly waitMs: number;
  readonly onEvent: ((event: DiscoveryEvent) => void) | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** How one watch makes one list of several; a new one for each, with the time. */
  readonly choice: (now: number) => Choice;
}

function isResolver(source: unknown): source is Source {
  return typeof source === 'object' && source !== null && 'watch' in source;
}
function isRegistrar(source: unknown): source is Registry {
  return typeof source === 'object' && source !== null && 'register' in source;
}

class JointResolver implements Resolver {
  protected readonly watches = new Set<JointWatch>();
  protected readonly tell: (event: DiscoveryEvent) => void;
  protected closing: Promise<void> | undefined;

  constructor(protected readonly init: JointInit) {
    this.tell = teller(init.onEvent);
  }

  watch(service: string, onChange: (resolution: Resolution) => void): Watch {
    if (this.closing !== undefined) return { close: () => undefined };
    const { sources, clock, choice } = this.init;
    const onFault = (error: unknown): void => this.tell({ type: 'fault', service, reason: reasonOf(error) });
    const watch = new JointWatch(sources, service, { clock, choice: choice(clock.now()), onFault });
    this.watches.add(watch);
    watch.open(onChange);
    return {
      close: () => {
        this.watches.delete(watch);
        watch.close();
      },
    };
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  protected async end(): Promise<void> {
    for (const watch of this.watches) watch.close();
    this.watches.clear();
    const { sources, registerIn = [] } = this.init;
    const all = new Set<Partial<Pick<Resolver, 'close'>>>([
      ...sources,
      ...(registerIn as Partial<Registry>[]),
    ]);
    await Promise.allSettled([...all].map(async (source) => source.close?.()));
  }
}

class JointRegistry extends JointResolver implements Registry {
  private readonly kept = new Set<JointRegistration>();

  constructor(
    init: JointInit,
    private readonly registrars: readonly Registrar[],
  ) {
    super(init);
  }

  async register(instance: ServiceInstance): Promise<Registration> {
    if (this.closing !== undefined) throw new Error(`${this.init.owner} is closed`);
    const { registrars, tell } = this;
    const kept = new JointRegistration(instance, { ...this.init, registrars, tell });
    this.kept.add(kept);
    try {
      await kept.start();
    } catch (error) {
      this.kept.delete(kept);
      throw error;
    }
    return {
      get registered() {
        return kept.registered;
      },
      deregister: () => kept.deregister().finally(() => this.kept.delete(kept)),
    };
  }

  async localAddress(): Promise<string | undefined> {
    for (const registrar of this.registrars as readonly Partial<Registry>[]) {
      const address = await Promise.resolve(registrar.localAddress?.()).catch(() => undefined);
      if (address !== undefined) return address;
    }
    return undefined;
  }

  protected override async end(): Promise<void> {
    await Promise.all([...this.kept].map((kept) => kept.deregister()));
    await super.end();
  }
}

/**
 * One registry, or resolver, of several.
 *
 * @throws TypeError when there is none, or one that is none
 */
export function joint<S extends readonly Source[]>(init: JointInit): Joint<S> {
  const { owner, sources, registerIn } = init;
  if (!Array.isArray(sources) || sources.length === 0 || !sources.every(isResolver))
    throw new TypeError(`${owner} needs an array of registries or resolvers`);
  const wanted: readonly unknown[] | undefined = registerIn;
  if (wanted !== undefined && !(Array.isArray(wanted) && wanted.length > 0 && wanted.every(isRegistrar)))
    throw new TypeError(`${owner}.registerIn must be an array of registries`);
  const registrars: readonly Registrar[] = registerIn ?? sources.filter(isRegistrar);
  const made: Resolver =
    registrars.length > 0 ? new JointRegistry(init, registrars) : new JointResolver(init);
  return made as Joint<S>;
}
