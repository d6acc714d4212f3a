import type { Attributes } from '@opentelemetry/api';

/** Where one more attribute leads to. */
class Step<S> {
  /** The attribute that comes next: on nearly all paths through here it is the same. */
  private key: string | undefined = undefined;
  /** The value of the last time, which often is that of the next: comparing is cheaper than looking up. */
  private recent: unknown = undefined;
  private recentStep: Step<S> | undefined = undefined;
  /** All values, once there are two: where many series part early, most steps have one. */
  private values: Map<unknown, Step<S>> | undefined = undefined;
  private others: Map<string, Map<unknown, Step<S>>> | undefined = undefined;
  end: S | undefined = undefined;

  follow(key: string, value: unknown): Step<S> | undefined {
    if (key !== this.key) return this.others?.get(key)?.get(value);
    if (value === this.recent) return this.recentStep;
    const next = this.values?.get(value);
    if (next !== undefined) {
      this.recent = value;
      this.recentStep = next;
    }
    return next;
  }

  /** To be asked when there is none yet. */
  add(key: string, value: unknown): Step<S> {
    const next = new Step<S>();
    this.key ??= key;
    if (key !== this.key) {
      this.others ??= new Map();
      const values = this.others.get(key) ?? new Map<unknown, Step<S>>();
      this.others.set(key, values.set(value, next));
    } else if (this.recentStep === undefined) {
      this.recent = value;
      this.recentStep = next;
    } else {
      this.values ??= new Map<unknown, Step<S>>([[this.recent, this.recentStep]]);
      this.values.set(value, next);
    }
    return next;
  }
}

/**
 * Finds the series of attributes by walking their names and values as they come, without sorting, joining or allocating.
 * The same attributes in another order are another path to the same series.
 *
 * The object itself is no key: users change one object and pass it again.
 */
export class SeriesIndex<S> {
  private root = new Step<S>();
  private steps = 0;

  /**
   * @param maxSteps - how much is remembered; then it is forgotten and learned anew
   * @param keeps - names that count; all when left out
   */
  constructor(
    private readonly maxSteps: number,
    private readonly keeps: ReadonlySet<string> | undefined,
  ) {}

  /** @throws whatever a getter of the attributes throws */
  find(attributes: Attributes | undefined): S | undefined {
    const { keeps } = this;
    let step = this.root;
    for (const key in attributes) {
      if (keeps !== undefined && !keeps.has(key)) continue;
      const next = step.follow(key, attributes[key]);
      if (next === undefined) return undefined;
      step = next;
    }
    return step.end;
  }

  /** @param path - names and values by turns, as they will come again */
  remember(path: readonly unknown[], series: S): void {
    if (this.steps + path.length / 2 > this.maxSteps) this.clear();
    let step = this.root;
    for (let at = 0; at < path.length; at += 2) {
      const key = path[at] as string;
      let next = step.follow(key, path[at + 1]);
      if (next === undefined) {
        next = step.add(key, path[at + 1]);
        this.steps++;
      }
      step = next;
    }
    step.end = series;
  }

  clear(): void {
    this.root = new Step<S>();
    this.steps = 0;
  }
}
