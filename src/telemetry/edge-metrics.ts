import { type Attributes, diag, type MeterProvider } from '@opentelemetry/api';
import { type Observation, observe, type Tell } from './observed.js';
import { edgesAlsoIn, type ShownEdge, sumOfEdges } from './shown-edge.js';

const instruments = {
  calls: {
    kind: 'counter',
    name: 'keelson.edge.calls',
    unit: '{call}',
    description: 'Calls from one service to another, by how they ended.',
  },
  tries: {
    kind: 'counter',
    name: 'keelson.edge.tries',
    unit: '{attempt}',
    description: 'Tries of these calls.',
  },
  time: {
    kind: 'counter',
    name: 'keelson.edge.time',
    unit: 's',
    description: 'Time that these calls took, all together.',
  },
  quantiles: {
    kind: 'gauge',
    name: 'keelson.edge.duration',
    unit: 's',
    description: 'Quantiles of how long these calls took in the last whole window.',
  },
} as const;

type Key = keyof typeof instruments;

const shownQuantiles = [
  ['p50', '0.5'],
  ['p95', '0.95'],
  ['p99', '0.99'],
] as const;

function attributesOf(edge: ShownEdge): Attributes {
  const { side, caller, callee, operation, destination } = edge;
  const attributes: Attributes = {
    'keelson.edge.side': side,
    'keelson.edge.caller': caller,
    'keelson.edge.callee': callee,
    'keelson.edge.operation': operation,
  };
  if (destination !== undefined) attributes['messaging.destination.name'] = destination;
  return attributes;
}

function tellTotal(edge: ShownEdge, tell: Tell<Key>): void {
  const attributes = attributesOf(edge);
  for (const { outcome, flag, count } of edge.ends)
    tell('calls', count, { ...attributes, 'keelson.outcome': outcome, 'keelson.response.flag': flag });
  tell('tries', edge.tries, attributes);
  tell('time', edge.durationMs.sum / 1000, attributes);
}

// Not `quantile`: Prometheus keeps that name for summaries, and its linter refuses it anywhere else.
function tellWindow(edge: ShownEdge, tell: Tell<Key>): void {
  const attributes = attributesOf(edge);
  for (const [field, quantile] of shownQuantiles)
    tell('quantiles', edge.durationMs[field] / 1000, { ...attributes, 'keelson.quantile': quantile });
}

type Period = 'total' | 'last';
type Read = (period: Period) => readonly ShownEdge[];

/** One that fails costs the others nothing. */
function readSafely(read: Read, period: Period): readonly ShownEdge[] {
  try {
    return read(period);
  } catch (fault) {
    diag.error('keelson: edges could not be read', fault);
    return [];
  }
}

/** All who have edges to show to the same readers: of a series that two tell, a reader takes what was told last. */
class EdgeSources {
  private readonly reads = new Set<Read>();
  /** What those had counted who stopped, of edges that others go on with: a sum that falls is taken for one that began anew. */
  private left: readonly ShownEdge[] = [];
  private readonly shown: Observation;

  constructor(
    meterProvider: MeterProvider | undefined,
    private readonly leave: () => void,
  ) {
    const read = (tell: Tell<Key>): void => {
      for (const edge of this.edges('total')) tellTotal(edge, tell);
      for (const edge of this.edges('last')) tellWindow(edge, tell);
    };
    this.shown = observe<Key>({ instruments, read }, meterProvider);
  }

  add(read: Read): Observation {
    this.reads.add(read);
    this.shown.refresh();
    return {
      refresh: () => {
        if (this.reads.has(read)) this.shown.refresh();
      },
      stop: () => this.remove(read),
    };
  }

  private remove(read: Read): void {
    if (!this.reads.delete(read)) return;
    if (this.reads.size === 0) {
      this.shown.stop();
      this.leave();
      return;
    }
    const counted = readSafely(read, 'total');
    this.left = sumOfEdges([this.left, edgesAlsoIn(this.edges('total'), counted)]);
  }

  private edges(period: Period): readonly ShownEdge[] {
    const sources = [...this.reads].map((read) => readSafely(read, period));
    return sumOfEdges(period === 'total' && this.left.length > 0 ? [this.left, ...sources] : sources);
  }
}

// Of the process, whichever copy of the package counts: by the provider that is given, or by the global object without one.
const slot = Symbol.for('keelson.edgeMetrics.v1');
const home = globalThis as { [slot]?: WeakMap<object, Pick<EdgeSources, 'add'>> };

function sourcesOf(meterProvider: MeterProvider | undefined): Pick<EdgeSources, 'add'> {
  home[slot] ??= new WeakMap();
  const all = home[slot];
  const key = meterProvider ?? globalThis;
  const known = all.get(key);
  if (known !== undefined) return known;
  const made = new EdgeSources(meterProvider, () => all.delete(key));
  all.set(key, made);
  return made;
}

/**
 * Shows who calls whom: `keelson.edge.calls` by caller, callee, operation, outcome and response flag, `keelson.edge.tries`,
 * `keelson.edge.time`, and `keelson.edge.duration` by `keelson.quantile`. All are counted anyway and read when a reader collects: a
 * call costs nothing more for them, and no sampling touches them.
 *
 * Their quantiles are of one process and one window, and cannot be added up. For histograms per edge use those of the
 * semantic conventions, `http.server.request.duration` and the like, which tell the other side as `service.peer.name` and
 * carry exemplars.
 *
 * Called more than once, for several apps or beside `keelson/register`, it shows one series of each edge: what all have counted
 * of it together, and the quantiles of the one with the most calls in that window.
 *
 * @param read - the edges since the start, none of them with what another has counted, or of the last whole window
 * @param meterProvider - makes the instruments; without it the one that is registered globally
 */
export function edgeMetrics(
  read: (period: 'total' | 'last') => readonly ShownEdge[],
  meterProvider?: MeterProvider,
): Observation {
  // A source of its own, also where the same function is given twice.
  return sourcesOf(meterProvider).add((period) => read(period));
}
