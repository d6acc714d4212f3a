import type { Registration, Registry, Resolution, Resolver, ServiceInstance, Watch } from 'keelson/discovery';

/** An instance with what a test says of it. */
export function someInstance(id: string, more: Partial<ServiceInstance> = {}): ServiceInstance {
  return {
    id,
    service: 'users',
    hostname: id,
    addresses: [`http://${id}:80`],
    version: '',
    zone: '',
    env: '',
    region: '',
    weight: 100,
    status: 'up',
    metadata: {},
    ...more,
  };
}

/** A resolver that says what a test has it say, of any service. */
export class ScriptedResolver implements Resolver {
  closed = 0;
  private readonly listeners = new Set<(resolution: Resolution) => void>();
  private last: Resolution | undefined;

  /** How many watch. */
  get size(): number {
    return this.listeners.size;
  }

  watch(_service: string, onChange: (resolution: Resolution) => void): Watch {
    // A function of its own, so that one listener that watches twice counts twice.
    const listener = (resolution: Resolution): void => onChange(resolution);
    this.listeners.add(listener);
    if (this.last) listener(this.last);
    return { close: () => void this.listeners.delete(listener) };
  }

  say(...instances: readonly (string | ServiceInstance)[]): void {
    this.push({
      instances: instances.map((one) => (typeof one === 'string' ? someInstance(one) : one)),
      stale: false,
    });
  }

  /** It is away: what it said last is stale. */
  lose(reason = 'away'): void {
    this.push({ instances: this.last?.instances ?? [], stale: true, reason });
  }

  close(): void {
    this.closed++;
  }

  private push(resolution: Resolution): void {
    this.last = resolution;
    for (const listener of [...this.listeners]) listener(resolution);
  }
}

/** A registry that takes, refuses or leaves waiting, as a test has it. */
export class ScriptedRegistry extends ScriptedResolver implements Registry {
  mood: 'takes' | 'refuses' | 'hangs' = 'takes';
  address: string | undefined;
  readonly held = new Set<string>();
  tries = 0;
  /** Lets those that wait go on. */
  release: () => void = () => undefined;

  async register(instance: ServiceInstance): Promise<Registration> {
    this.tries++;
    if (this.mood === 'hangs') await new Promise<void>((resolve) => (this.release = resolve));
    this.refuse();
    this.held.add(instance.id);
    const { held } = this;
    return {
      get registered() {
        return held.has(instance.id);
      },
      deregister: async () => void held.delete(instance.id),
    };
  }

  private refuse(): void {
    if (this.mood === 'refuses') throw new Error('no rights');
  }

  async localAddress(): Promise<string | undefined> {
    return this.address;
  }

  override async close(): Promise<void> {
    super.close();
  }
}
