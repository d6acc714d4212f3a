import type { RegistryStats } from './registry-stats.js';
import type { Traffic } from './traffic.js';

/** What a page of metrics is made of. */
export interface MetricsSource {
  readonly stats: RegistryStats;
  readonly traffic: Traffic;
  readonly memory: NodeJS.MemoryUsage;
}

/** One value, told apart by labels. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

interface Family {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly samples: readonly Sample[];
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };

function line(name: string, [labels, value]: Sample): string {
  const pairs = Object.entries(labels).map(
    ([label, text]) => `${label}="${text.replace(/[\\"\n]/g, (sign) => escapes[sign] ?? sign)}"`,
  );
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`;
}

const one = (value: number | boolean): readonly Sample[] => [[{}, Number(value)]];

function families({ stats, traffic, memory }: MetricsSource): readonly Family[] {
  const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({
    ...{ name: `keelson_registry_${name}`, type: 'gauge', help, samples },
  });
  const counter = (name: string, help: string, samples: readonly Sample[]): Family => ({
    ...{ name: `keelson_registry_${name}_total`, type: 'counter', help, samples },
  });
  const peers = stats.peers.map((peer) => [{ peer: peer.address, zone: peer.zone }, peer] as const);
  return [
    gauge('instances', 'Registered instances, the registry itself not counted.', one(stats.instances)),
    gauge('stale_instances', 'Instances known from before a restart only.', one(stats.stale)),
    gauge('cancelled_instances', 'Cancelled instances that are remembered.', one(stats.cancelled)),
    gauge('apps', 'Apps that have instances.', one(stats.apps)),
    gauge('empty_apps', 'Apps remembered although their last instance left.', one(stats.emptyApps)),
    gauge('parked_polls', 'Polls that wait for a change.', one(stats.parkedPolls)),
    gauge('watches', 'Apps that waiting polls watch, summed over polls.', one(stats.watches)),
    gauge('expected_renewals', 'Renewals expected per minute.', one(stats.expectedRenewals)),
    gauge('seen_renewals', 'Twice the instances heard of in the last minute.', one(stats.seenRenewals)),
    gauge('protecting', 'Whether instances that stopped renewing are kept.', one(stats.protecting)),
    gauge('synced', 'Whether it answers reads.', one(stats.synced)),
    gauge(
      'clock_ahead_seconds',
      'How far the fastest clock of its peers is ahead.',
      one(stats.clockAheadMs / 1_000),
    ),
    gauge('list_bytes', 'Bytes of encoded lists that are kept to be sent again.', one(stats.listBytes)),
    gauge('resident_memory_bytes', 'Memory of the process.', one(memory.rss)),
    gauge('heap_bytes', 'Memory of the process in use on the heap.', one(memory.heapUsed)),
    gauge('buffer_bytes', 'Memory of the process in buffers.', one(memory.arrayBuffers)),
    counter('list_encodings', 'Lists encoded: one per change and form.', one(stats.encodings)),
    counter(
      'requests',
      'Requests answered, by path and by code of the protocol.',
      [...traffic.all()].map(({ path, code, times }) => [{ path, code: String(code) }, times]),
    ),
    gauge(
      'peer_up',
      'Whether a peer answered lately.',
      peers.map(([labels, { status }]) => [labels, Number(status === 'up')]),
    ),
    gauge(
      'peer_queued',
      'Instances a peer is still to be told of.',
      peers.map(([labels, { queued }]) => [labels, queued]),
    ),
    counter(
      'peer_dropped',
      'Instances a peer was not told of.',
      peers.map(([labels, { dropped }]) => [labels, dropped]),
    ),
  ];
}

/** What a registry holds and does, in the text format of Prometheus, version 0.0.4. */
export function metricsText(source: MetricsSource): string {
  const lines: string[] = [];
  for (const { name, type, help, samples } of families(source)) {
    if (samples.length === 0) continue;
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const sample of samples) lines.push(line(name, sample));
  }
  return `${lines.join('\n')}\n`;
}
