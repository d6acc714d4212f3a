/** The share of calls that fail for a callee that is down. Not all: a cache, a health check, a lucky replica still answers. */
const down = 0.9;
/** Nobody is believed to fail less often than this, or three failures in a row would be an outage for a good callee. */
const leastUsual = 0.01;
/** A callee that fails more often than this is no longer well by its own measure: failing more is evidence again. */
const mostUsual = 0.5;
/** Each verdict moves what is usual by this share: a brown-out is usual after some sixty calls, a run of five is not. */
const learning = 1 / 64;
/** What one call weighs fades by time: failures that are minutes apart are not a run. */
const fadeMs = 30_000;
/**
 * No more of that time counts from one shed to the next: with nothing else between them they are a run. It takes many times
 * as many, which a client of few calls sends in minutes.
 */
const mostBetweenShedsMs = 30;

/** Of a callee that sheds whatever it gets so much is let in all the same, by a lucky moment. */
const letIn = 0.01;
/** Shedding is an answer of a callee that lives: before anything is known, half of the calls may be shed. */
const leastShed = 0.5;
/** And nineteen of twenty, once that is known to be usual. More is no different from all of them. */
const mostShed = 0.95;
/** Shedding begins at once where demand exceeds a limit, so it is learned faster than what fails. */
const learningOfSheds = 1 / 32;

const weightAt = (usual: number): number => Math.log(down / usual);
const reliefAt = (usual: number): number => Math.log((1 - usual) / (1 - down));

/**
 * How much more the calls so far look like a callee that is down than like the callee as it usually is: the logarithm of
 * the ratio of both likelihoods, never below 0, so that an outage after a long good time counts from its first call.
 *
 * What is usual is learned from the calls themselves, and each call is held against what was usual before it. So five
 * failures in a row are an outage where one in a hundred fails, and nothing where one in three does.
 *
 * Source: Wald, "Sequential Tests of Statistical Hypotheses", 1945; Page, "Continuous Inspection Schemes", 1954 (CUSUM),
 * for the floor at 0. That the null hypothesis is learned on the way is ours.
 */
export class OutageScore {
  /** The share of calls that usually fail. */
  usual = leastUsual;
  /** The share of calls that is usually shed. */
  usualShed = leastShed;
  /** What one success takes away, as of the last failure: between two of them it hardly changes. */
  private relief = reliefAt(leastUsual);
  /** The doubt by what failed. */
  private failing = 0;
  /** The doubt by what was shed. */
  private shedding = 0;
  private raisedAt = Number.NaN;

  /** @param limit - from where on it is an outage */
  constructor(public limit: number) {}

  /** 0 is no doubt. */
  get value(): number {
    return this.failing + this.shedding;
  }

  /** So many calls in a row succeeded. */
  succeeded(calls: number): void {
    this.usual = Math.max(leastUsual, this.usual * (1 - learning) ** calls);
    if (this.usualShed > leastShed)
      this.usualShed = Math.max(leastShed, this.usualShed * (1 - learningOfSheds) ** calls);
    const relief = calls * this.relief;
    // Once from the sum of both.
    this.shedding -= Math.max(0, relief - this.failing);
    if (this.shedding < 0) this.shedding = 0;
    this.failing = Math.max(0, this.failing - relief);
  }

  /** One call failed. @returns whether it is an outage now */
  failed(now: number): boolean {
    const { usual } = this;
    this.fade(now);
    this.failing += weightAt(usual);
    this.usual = Math.min(mostUsual, usual + (1 - usual) * learning);
    this.relief = reliefAt(this.usual);
    return this.value >= this.limit;
  }

  /** One call was shed. @returns whether it is an outage now: hardly any is let in, and that is not usual */
  shed(now: number): boolean {
    const { usualShed } = this;
    this.fade(now);
    this.shedding += Math.log((1 - letIn) / usualShed);
    this.usualShed = Math.min(mostShed, usualShed + (1 - usualShed) * learningOfSheds);
    return this.value >= this.limit;
  }

  /** Half way to the next outage: where calls come back to a callee that was down. */
  doubt(now: number): void {
    this.failing = this.limit / 2;
    this.shedding = 0;
    this.raisedAt = now;
  }

  /** No doubt is left; what is usual stays. */
  absolve(): void {
    this.failing = 0;
    this.shedding = 0;
  }

  /** Neither doubt nor anything learned is left. */
  forget(): void {
    this.failing = 0;
    this.shedding = 0;
    this.usual = leastUsual;
    this.usualShed = leastShed;
    this.relief = reliefAt(leastUsual);
  }

  private fade(now: number): void {
    const sinceMs = now - this.raisedAt;
    // A clock that stepped back counts as no time passed.
    if (sinceMs > 0) {
      this.failing *= Math.exp(-sinceMs / fadeMs);
      if (this.shedding > 0) this.shedding *= Math.exp(-Math.min(sinceMs, mostBetweenShedsMs) / fadeMs);
    }
    this.raisedAt = now;
  }
}

/** The score that so many failures in a row reach, and one fewer does not, against a callee that is otherwise well. */
export function limitOf(failures: number): number {
  const score = new OutageScore(Number.POSITIVE_INFINITY);
  for (let nth = 1; nth < failures; nth++) score.failed(0);
  const fewer = score.value;
  score.failed(0);
  return (fewer + score.value) / 2;
}
