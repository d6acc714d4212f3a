import type { Gate, Permit } from 'keelson/core';
import { bbr, bbrKratos, concurrency } from 'keelson/limiter';
import { type LoadHost, loadSignal } from 'keelson/limiter/load';
import { manualClock, seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

// One Node server: one thread that takes jobs first come, first served. A call is read off its socket (`parseMs` of
// CPU, and here the limiter is asked), awaits something for `awaitMs`, computes for `computeMs`, and is good if it is
// answered within `deadlineMs`. A refusal costs `rejectMs` of CPU. Calls arrive at random (Poisson) at `load` times what
// the thread can compute.

const parseMs = 0.04;
const rejectMs = 0.03;
const awaitMs = 5;
const computeMs = 3;
const deadlineMs = 500;
const capacityPerMs = 1 / (computeMs + parseMs);

interface Phase {
  readonly load: number;
  readonly ms: number;
}

/** What became of the calls that arrived in one phase. */
interface Tally {
  readonly offered: number;
  readonly refused: number;
  readonly good: number;
  /** Good calls per second of the phase, against what the thread can do at most. */
  readonly goodput: number;
  /** Latencies of the good ones, sorted. */
  readonly latencies: readonly number[];
  readonly important: { readonly offered: number; readonly good: number };
}

interface Job {
  /** Does its work at that time. @returns the CPU it took; milliseconds */
  run(now: number): number;
}

/** Events in order of time: a binary heap. */
class Agenda {
  private readonly heap: { at: number; run: (now: number) => void }[] = [];
  get next(): number {
    return this.heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }
  add(at: number, run: (now: number) => void): void {
    const { heap } = this;
    let child = heap.push({ at, run }) - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (heap[parent]!.at <= heap[child]!.at) break;
      [heap[parent], heap[child]] = [heap[child]!, heap[parent]!];
      child = parent;
    }
  }
  take(): { at: number; run: (now: number) => void } {
    const { heap } = this;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) {
      heap[0] = last;
      for (let parent = 0; ; ) {
        let least = parent;
        for (const child of [2 * parent + 1, 2 * parent + 2])
          if (child < heap.length && heap[child]!.at < heap[least]!.at) least = child;
        if (least === parent) break;
        [heap[parent], heap[least]] = [heap[least]!, heap[parent]!];
        parent = least;
      }
    }
    return top;
  }
}

interface World {
  readonly phases: readonly Phase[];
  /** Makes the limiter around this load. */
  readonly limiter: (load: { readonly value: number }) => Gate;
  /** How the load is smoothed. */
  readonly signal?: { readonly intervalMs: number; readonly smoothingMs: number };
  /** Share of the calls that have priority 1. */
  readonly important?: number;
  /** The handler never awaits: read, admit, compute and answer are one job. */
  readonly synchronous?: boolean;
  /** Share of the thread that something else burns, in blocks of 20 ms. */
  readonly foreign?: number;
  readonly seed?: number;
}

function simulate(world: World): Tally[] {
  const random = seededRandom(world.seed ?? 1);
  const clock = manualClock();
  const agenda = new Agenda();
  const waiting: Job[] = [];
  let taken = 0;
  let busyUntil = 0;
  let activeMs = 0;

  // The loop's own account: what was begun counts as far as it has gone.
  const host: LoadHost = {
    readFile: () => {
      throw new Error('no such file');
    },
    eventLoop() {
      const now = clock.now();
      const active = activeMs - Math.max(0, busyUntil - now);
      return { active, idle: now - active };
    },
    processCpuMs: () => undefined,
    cpus: () => 1,
  };
  const load = loadSignal({ ...world.signal, fullDelayMs: Number.POSITIVE_INFINITY, clock, host });
  load.start();
  const limiter = world.limiter(load);

  const turn = (now: number): void => {
    if (now < busyUntil) return;
    const job = waiting[taken];
    if (job === undefined) return;
    taken++;
    const spent = job.run(now);
    activeMs += spent;
    busyUntil = now + spent;
    agenda.add(busyUntil, turn);
  };
  const enqueue = (job: Job, now: number): void => {
    waiting.push(job);
    turn(now);
  };

  const tallies = world.phases.map(() => ({
    offered: 0,
    refused: 0,
    good: 0,
    latencies: [] as number[],
    important: { offered: 0, good: 0 },
  }));

  const arrive = (phase: number, arrived: number): void => {
    const tally = tallies[phase]!;
    const priority = random() < (world.important ?? 0) ? 1 : 0;
    tally.offered++;
    if (priority > 0) tally.important.offered++;
    const answer = (permit: Permit): Job => ({
      run(now) {
        const end = now + computeMs;
        permit.release('success', end);
        if (end - arrived <= deadlineMs) {
          tally.good++;
          tally.latencies.push(end - arrived);
          if (priority > 0) tally.important.good++;
        }
        return computeMs;
      },
    });
    const read: Job = {
      run(now) {
        const permit = limiter.tryAcquire(now + parseMs, { priority });
        if (permit === null) {
          tally.refused++;
          return parseMs + rejectMs;
        }
        if (world.synchronous) return parseMs + answer(permit).run(now + parseMs);
        agenda.add(now + parseMs + awaitMs, (at) => enqueue(answer(permit), at));
        return parseMs;
      },
    };
    enqueue(read, arrived);
  };

  let start = 0;
  world.phases.forEach(({ load: times, ms }, phase) => {
    const end = start + ms;
    for (let at = start; ; ) {
      at -= Math.log(1 - random()) / (times * capacityPerMs);
      if (!(at < end)) break;
      const arrived = at;
      agenda.add(arrived, () => arrive(phase, arrived));
    }
    start = end;
  });
  const blockMs = 20;
  if (world.foreign)
    for (let at = 0; at < start; at += blockMs / world.foreign)
      agenda.add(at, (now) => enqueue({ run: () => blockMs }, now));

  while (agenda.next < start) {
    const event = agenda.take();
    clock.advanceSync(event.at - clock.now());
    event.run(event.at);
  }
  load.stop();
  return tallies.map((tally, phase) => ({
    ...tally,
    goodput: tally.good / (world.phases[phase]!.ms * capacityPerMs),
    latencies: tally.latencies.sort((a, b) => a - b),
  }));
}

const p99 = ({ latencies }: Tally): number => latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
const servedRatio = ({ good, offered }: Tally): number => good / offered;
const refusedRatio = ({ refused, offered }: Tally): number => refused / offered;

/**
 * What the thread can answer at most when it is offered `times` its capacity, if every call it does not answer costs it
 * reading and refusing and nothing else. With a calls answered per ms: a (S+P) + (X/(S+P) - a) (P+R) = 1.
 */
const physicalLimit = (times: number): number =>
  (computeMs + parseMs - times * (parseMs + rejectMs)) / (computeMs - rejectMs);

// From a load of 0.6 the smoothed signal passes 0.8 after 150 ms * ln 2 = 104 ms, and it is looked at every 100 ms: the
// limit holds after 0.3 s at the latest. What came until then, (X-1) * 0.3 s of work, is answered, but perhaps too late.
const noticedMs = 300;

const quick = { intervalMs: 100, smoothingMs: 150 };
/** 0.95 of the old value every 500 ms. */
const slow = { intervalMs: 500, smoothingMs: 9750 };

const step = (times: number): Phase[] => [
  { load: 0.6, ms: 20_000 },
  { load: times, ms: 30_000 },
  { load: 0.6, ms: 20_000 },
];

describe('bbr with its defaults, load 0.6, a step up for 30 s, 0.6', () => {
  it.each([2, 5, 10])('at %i times what it can: near the physical limit, and back at once', (times) => {
    const [before, during, after] = simulate({
      phases: step(times),
      limiter: (load) => bbr({ load }),
      signal: quick,
    }) as [Tally, Tally, Tally];

    // M/D/1 at 0.61: the smoothed utilization has to leave 0.6 by 0.2 before anything may be refused, and then eleven
    // have to be in flight where 0.2 per ms * 9 ms = 1.8 are usual: refusals are rare events, far below 1 in 200.
    expect(refusedRatio(before)).toBeLessThan(0.005);
    expect(servedRatio(before)).toBeGreaterThan(0.995);

    // Lost: the answers that came too late because the overload was not noticed, and 3 % because a place that falls
    // free waits for the next arrival.
    const late = ((times - 1) * noticedMs) / 30_000;
    expect(during.goodput).toBeGreaterThan(physicalLimit(times) * (1 - late - 0.03));
    expect(during.goodput).toBeLessThan(physicalLimit(times) * 1.02);

    // Afterwards at most ten calls wait, 30 ms of work; refusing for as long as the signal needs to fall and then for
    // the cool-down, 1.4 s of 20 s, hits only bursts of more than ten.
    expect(servedRatio(after)).toBeGreaterThan(0.99);
  });

  it('keeps the queue short for as long as the overload lasts', () => {
    const [, , settled] = simulate({
      phases: [
        { load: 0.6, ms: 5000 },
        { load: 3, ms: 2000 },
        { load: 3, ms: 118_000 },
      ],
      limiter: (load) => bbr({ load }),
      signal: quick,
    }) as [Tally, Tally, Tally];
    // The limit is the floor of 10 or 1.25 * 0.33 per ms * 9 ms + 1 = 4: ten. A call waits behind at most ten others before
    // it is read and once more after its await: 2 * 10 * 3.04 ms + 5 ms = 66 ms, and the refusals in between, three for
    // every answer, 0.2 ms each time. Two minutes are twelve windows: had the limiter learned its shortest rtt from them,
    // it would have doubled twelve times.
    expect(p99(settled)).toBeLessThan(75);
    expect(settled.goodput).toBeGreaterThan(physicalLimit(3) * 0.97);
  });

  it('starts cold in a flood', () => {
    const [flood] = simulate({
      phases: [{ load: 2, ms: 10_000 }],
      limiter: (load) => bbr({ load }),
      signal: quick,
    }) as [Tally];
    // From 0 the signal passes 0.8 after 150 ms * ln 5 = 241 ms, noticed within 0.4 s; that much work is queued then.
    expect(flood.goodput).toBeGreaterThan(physicalLimit(2) * (1 - 400 / 10_000 - 0.03));
  });

  it('serves the important calls first', () => {
    const [, during] = simulate({
      phases: step(2),
      limiter: (load) => bbr({ load }),
      signal: quick,
      important: 0.2,
    }) as [Tally, Tally, Tally];
    // They are 0.4 of what the thread can do. Their limit is 15, that of the others 10, so five places are theirs alone;
    // of 15 in flight at least 0.4 * 15 = 6 would be theirs, so that now and then one is refused.
    expect(during.important.good / during.important.offered).toBeGreaterThan(0.95);
    expect(during.goodput).toBeGreaterThan(0.93);
  });
});

describe('a quiet service while something else burns four fifths of the thread', () => {
  const quiet = (limiter: World['limiter']): Tally =>
    simulate({ phases: [{ load: 0.1, ms: 30_000 }], limiter, signal: quick, foreign: 0.8 })[0] as Tally;

  it('is not locked out by bbr', () => {
    // 0.033 calls per ms stay for 20..45 ms: one is in flight on average, and more than ten with probability 1e-8.
    expect(quiet((load) => bbr({ load })).refused).toBe(0);
  });

  it('is locked to two calls at once by the kratos preset', () => {
    // Poisson with mean 1: three or more with probability 1 - e^-1 (1 + 1 + 1/2) = 0.08.
    expect(refusedRatio(quiet((load) => bbr({ ...bbrKratos, load })))).toBeGreaterThan(0.04);
  });
});

describe('the kratos preset with the CPU signal of kratos', () => {
  const kratos: World['limiter'] = (load) => bbr({ ...bbrKratos, load });

  it('collapses at 5 times what it can, and does not recover when that is over', () => {
    const [before, during, after] = simulate({ phases: step(5), limiter: kratos, signal: slow }) as [
      Tally,
      Tally,
      Tally,
    ];
    expect(servedRatio(before)).toBeGreaterThan(0.98);
    // The signal needs 9.75 s * ln 2 = 6.8 s to notice; by then up to 4 * 6.8 s of work are queued. Only the calls of
    // the first 125 ms are answered in time, for 4 * 125 ms is the deadline. When refusing begins, the rtts of before
    // soon leave the window, and a limit made of the rtts of the queue keeps the queue.
    expect(during.goodput).toBeLessThan(0.05);
    expect(servedRatio(after)).toBeLessThan(0.8);
  });

  it('comes back at once with the same late signal, if the shortest rtt is not learned under load', () => {
    const [, during, after] = simulate({
      phases: step(5),
      limiter: (load) => bbr({ load }),
      signal: slow,
    }) as [Tally, Tally, Tally];
    // As late as before; but the limit stays what it was, so that the queue is worked off and then stays short.
    expect(during.goodput).toBeGreaterThan(0.1);
    expect(servedRatio(after)).toBeGreaterThan(0.98);
  });
});

describe('what no limiter can do that knows only what is in flight', () => {
  it('refuse anything if the handler never awaits', () => {
    const tallies = simulate({
      phases: step(2),
      limiter: (load) => bbr({ load }),
      signal: quick,
      synchronous: true,
    });
    // Calls follow each other on the thread: none is in flight when the next one is judged.
    expect(tallies.map(({ refused }) => refused)).toEqual([0, 0, 0]);
    // Twice the capacity: the queue passes the deadline after 0.5 s / (2 - 1), and the thread answers too late from then on.
    expect(tallies[1]?.goodput).toBeLessThan(0.1);
  });

  it('not even a limit of 1', () => {
    const [during] = simulate({
      phases: [{ load: 2, ms: 5000 }],
      limiter: () => concurrency({ limit: 1 }),
      synchronous: true,
    }) as [Tally];
    expect(during.refused).toBe(0);
  });
});
