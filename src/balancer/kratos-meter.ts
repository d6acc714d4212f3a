import type { Feedback, Outcome } from '../core/outcome.js';
import type { LoadMeter } from './meter.js';

/** What the generations of kratos compute differently. All times in nanoseconds, as there. */
export interface KratosFormula {
  /** Load of an endpoint; `inflight` starts at 1. */
  load(lagNs: number, inflight: number, cpu: number): number;
  /** How long the prediction from calls in flight stays as it is; milliseconds. */
  refreshMs(lagNs: number): number;
  /** Whether calls in flight that are older than the average count. */
  readonly predicts: boolean;
  /** How many of so many calls in flight have to be older for that. */
  quorum(running: number): number;
  /** Whether endpoints with bad health or a busy server are unfit. */
  readonly judges: boolean;
}

const tauMs = 600;
const nsPerMs = 1e6;
/** Calls in flight whose age is looked at; as in kratos, those beyond are not. */
const slots = 200;
const healthy = 1000;

/**
 * The node of kratos' p2c: averages of latency and success with the same weight, truncated to whole numbers as Go
 * does, and a prediction from the ages of the calls in flight.
 */
export class KratosMeter implements LoadMeter {
  /** Starts at 1 in kratos, so that an idle endpoint's load is not 0. */
  private inflight = 1;
  private lagNs = 0;
  private success = healthy;
  private cpu = 500;
  private stampedAt = Number.NEGATIVE_INFINITY;
  private predictedNs = 0;
  private predictedAt = Number.NEGATIVE_INFINITY;
  /** When the calls without an answer started, in no order. */
  private readonly running: number[] = [];

  constructor(private readonly formula: KratosFormula) {}

  start(now: number): void {
    this.inflight++;
    if (this.formula.predicts && this.running.length < slots && !Number.isNaN(now)) this.running.push(now);
  }
  load(now: number): number {
    const lagNs = this.formula.predicts ? Math.max(this.lagNs, this.predict(now)) : this.lagNs;
    return this.formula.load(lagNs, this.inflight, this.cpu) / this.success;
  }
  fit(): boolean {
    return !this.formula.judges || (this.success > healthy / 2 && this.cpu < 900);
  }

  answer(outcome: Outcome, startedAt: number, now: number, feedback?: Feedback): void {
    this.leave(startedAt);
    if (outcome === 'unsent') return;
    const sampleNs = Math.trunc(Math.max(0, now - startedAt) * nsPerMs);
    if (outcome === 'ignored') {
      this.lagNs = Math.max(this.lagNs, sampleNs);
      return;
    }
    const kept = this.lagNs === 0 ? 0 : Math.exp(-Math.max(0, now - this.stampedAt) / tauMs);
    this.stampedAt = Math.max(this.stampedAt, now);
    this.lagNs = Math.trunc(this.lagNs * kept + sampleNs * (1 - kept));
    this.success = Math.trunc(this.success * kept + (outcome === 'failure' ? 0 : healthy) * (1 - kept));
    const ratio = feedback?.load?.cpuRatio;
    // A server that reports 0 has not measured yet.
    if (ratio !== undefined && ratio > 0) this.cpu = Math.min(healthy, Math.trunc(ratio * healthy));
  }

  end(): void {
    this.inflight--;
  }

  /** Of calls that started at the same time any will do: it is only their age that is looked at. */
  private leave(startedAt: number): void {
    const at = this.running.indexOf(startedAt);
    if (at < 0) return;
    const last = this.running.pop() as number;
    if (at < this.running.length) this.running[at] = last;
  }

  /** Mean age of the calls older than the average, if they are enough of those in flight. */
  private predict(now: number): number {
    const age = now - this.predictedAt;
    if (age >= 0 && age < this.formula.refreshMs(this.lagNs)) return this.predictedNs;
    this.predictedAt = now;
    let late = 0;
    let sumNs = 0;
    for (const startedAt of this.running) {
      const ageNs = (now - startedAt) * nsPerMs;
      if (ageNs <= this.lagNs) continue;
      late++;
      sumNs += ageNs;
    }
    const quorum = this.formula.quorum(this.inflight - 1);
    this.predictedNs = late >= quorum ? Math.trunc(sumNs / late) : 0;
    return this.predictedNs;
  }
}
