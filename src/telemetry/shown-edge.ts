import type { Outcome } from '../core/outcome.js';

/** What is shown of one edge; those of a topology fit. */
export interface ShownEdge {
  /** Who measured it: `client`, `server`, `producer`, `consumer`. */
  readonly side: string;
  /** Who calls. */
  readonly caller: string;
  /** Who is called. */
  readonly callee: string;
  /** What is called. */
  readonly operation: string;
  /** Of messages, where they wait. */
  readonly destination: string | undefined;
  /** Tries of the calls. */
  readonly tries: number;
  /** How long they took; milliseconds. */
  readonly durationMs: {
    /** All together. */
    readonly sum: number;
    /** The median. */
    readonly p50: number;
    /** What 95 % did not exceed. */
    readonly p95: number;
    /** What 99 % did not exceed. */
    readonly p99: number;
  };
  /** How they ended. */
  readonly ends: readonly {
    /** As evidence. */
    readonly outcome: Outcome;
    /** Why, in a letter or two. */
    readonly flag: string;
    /** How many. */
    readonly count: number;
  }[];
}

type ShownEnd = ShownEdge['ends'][number];

const keyOf = ({ side, caller, callee, operation, destination }: ShownEdge): string =>
  JSON.stringify([side, caller, callee, operation, destination]);

const callsOf = ({ ends }: ShownEdge): number => ends.reduce((sum, { count }) => sum + count, 0);

function sumOfEnds(all: readonly ShownEnd[]): readonly ShownEnd[] {
  const sums = new Map<string, ShownEnd>();
  for (const end of all) {
    const key = `${end.outcome} ${end.flag}`;
    sums.set(key, { ...end, count: end.count + (sums.get(key)?.count ?? 0) });
  }
  return [...sums.values()];
}

/** One edge of what several have counted of it. Quantiles cannot be added up: they are those of whoever has the most calls. */
function sumOf(all: readonly [ShownEdge, ...ShownEdge[]]): ShownEdge {
  const [first, ...others] = all;
  if (others.length === 0) return first;
  const most = others.reduce((one, other) => (callsOf(other) > callsOf(one) ? other : one), first);
  return {
    ...most,
    tries: all.reduce((sum, { tries }) => sum + tries, 0),
    durationMs: { ...most.durationMs, sum: all.reduce((sum, { durationMs }) => sum + durationMs.sum, 0) },
    ends: sumOfEnds(all.flatMap(({ ends }) => ends)),
  };
}

/** Adds up what several have counted: each edge once. */
export function sumOfEdges(sources: readonly (readonly ShownEdge[])[]): readonly ShownEdge[] {
  const [only = [], ...others] = sources;
  if (others.length === 0) return only;
  const byKey = new Map<string, [ShownEdge, ...ShownEdge[]]>();
  for (const edge of sources.flat()) {
    const key = keyOf(edge);
    const same = byKey.get(key);
    if (same === undefined) byKey.set(key, [edge]);
    else same.push(edge);
  }
  return [...byKey.values()].map(sumOf);
}

/** Those of some edges that are also among others. */
export function edgesAlsoIn(others: readonly ShownEdge[], some: readonly ShownEdge[]): readonly ShownEdge[] {
  const keys = new Set(others.map(keyOf));
  return some.filter((edge) => keys.has(keyOf(edge)));
}
