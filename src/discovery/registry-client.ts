import { completed, type Where } from './completed-instance.js';
import { type DiscoveryEvent, teller } from './discovery-event.js';
import { FollowedService, type Publish } from './followed-service.js';
import type { ServiceInstance } from './instance.js';
import { KeptRegistration, type Tenure } from './kept-registration.js';
import type { Registration, Registry } from './registrar.js';
import type { registryClientDefaults } from './registry-client-options.js';
import type { Resolution, Watch } from './resolver.js';

/** What is particular to one kind of registry; all else is {@link RegistryClient}'s. */
export interface RegistryBackend {
  /** Under which name it keeps an instance. A second registration there would replace the first. */
  placeOf(instance: ServiceInstance): string;
  /**
   * How it keeps one instance.
   *
   * @param onGone - to be told when it turns out, without a renewal, that the instance is gone
   */
  tenure(instance: ServiceInstance, onGone: (reason: string) => void): Tenure;
  /** As {@link Follow} has it. */
  follow(service: string, publish: Publish, signal: AbortSignal): Promise<void>;
  /** Which address of this host leads there. */
  localAddress?(): Promise<string | undefined>;
  /** Lets go of everything; what is still under way ends soon. */
  close(): Promise<void> | void;
}

/** What a {@link RegistryClient} needs. */
export interface RegistryClientInit {
  readonly backend: RegistryBackend;
  readonly settings: typeof registryClientDefaults;
  /** Longest time between two renewals of an instance; milliseconds. */
  readonly renewMs: number;
  /** Whether the registry keeps instances in memory alone, so that a restart loses those that are alive. */
  readonly forgetful?: boolean | undefined;
}

/** A registry, made of what is particular to its kind. */
export class RegistryClient implements Registry {
  private readonly where: Where;
  private readonly tell: (event: DiscoveryEvent) => void;
  private readonly kept = new Map<string, KeptRegistration>();
  private readonly followed = new Map<string, FollowedService>();
  private closing: Promise<void> | undefined;

  constructor(private readonly init: RegistryClientInit) {
    const { zone, env, region, onEvent } = init.settings;
    const { env: variables } = process;
    this.where = {
      zone: zone ?? variables['ZONE'] ?? '',
      env: env ?? variables['DEPLOY_ENV'] ?? '',
      region: region ?? variables['REGION'] ?? '',
    };
    this.tell = teller(onEvent);
  }

  watch(service: string, onChange: (resolution: Resolution) => void): Watch {
    if (typeof service !== 'string' || service === '') throw new TypeError('a service to watch needs a name');
    if (this.closing !== undefined) return { close: () => undefined };
    const followed = this.followed.get(service) ?? this.follow(service);
    const { view } = followed;
    const watch = view.subscribe(onChange);
    return {
      close: () => {
        watch.close();
        if (view.size > 0 || this.followed.get(service) !== followed) return;
        this.followed.delete(service);
        followed.close();
      },
    };
  }

  async register(given: ServiceInstance): Promise<Registration> {
    if (this.closing !== undefined) throw new Error('the registry client is closed');
    const { backend, settings, renewMs } = this.init;
    const instance = completed(given, this.where);
    const place = backend.placeOf(instance);
    if (this.kept.has(place))
      throw new Error(
        `${instance.service} is registered as ${place} already: the one would replace the other`,
      );
    const tenure = backend.tenure(instance, (reason) => kept.gone(reason));
    const kept = new KeptRegistration(instance, { ...settings, renewMs, tenure, tell: this.tell });
    this.kept.set(place, kept);
    const forget = (): void => {
      if (this.kept.get(place) === kept) this.kept.delete(place);
    };
    try {
      await kept.start();
    } catch (error) {
      forget();
      throw error;
    }
    return {
      get registered() {
        return kept.registered;
      },
      deregister: () => kept.deregister().finally(forget),
    };
  }

  async localAddress(): Promise<string | undefined> {
    return this.init.backend.localAddress?.();
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    for (const followed of this.followed.values()) followed.close();
    await Promise.all([...this.kept.values()].map((kept) => kept.deregister()));
    await this.init.backend.close();
  }

  private follow(service: string): FollowedService {
    const { backend, settings, forgetful = false } = this.init;
    const followed = new FollowedService({
      ...settings,
      service,
      forgetful,
      tell: this.tell,
      follow: (publish, signal) =>
        backend.follow(service, (all, skipped) => publish(this.visible(all), skipped), signal),
    });
    this.followed.set(service, followed);
    return followed;
  }

  /** Environments do not see each other; who is of none is seen by all, and sees all. */
  private visible(instances: readonly ServiceInstance[]): readonly ServiceInstance[] {
    const { env } = this.where;
    return env === ''
      ? instances
      : instances.filter((instance) => instance.env === '' || instance.env === env);
  }
}
