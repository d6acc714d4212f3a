import fc from 'fast-check';
import type { RegistryServer } from 'keelson/registry';
import { afterEach, describe, expect, it } from 'vitest';
import { type Link, RegistryCluster, SimulatedInstance } from '../doubles/registry-cluster.js';

// Three nodes, six instances, anything may happen; then cuts are healed, and all has to be well within the time promised.

const renewMs = 30_000;
const compareMs = 15_000;
const expiryMs = 90_000;
const sweepMs = 60_000;
const names = ['a', 'b', 'c', 'd', 'e', 'f'];

const who = fc.nat(names.length - 1);
const node = fc.nat(2);
const state = fc.constantFrom<Link>('up', 'cut', 'hanging', 'garbage');
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('register' as const), who, node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), who, node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('move' as const), who, node }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('link' as const), one: node, other: node, state }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('part' as const), node, state }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), node }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('set' as const), who, node }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(50, 1_000, 20_000, 70_000, 600_000),
    }),
  },
);
const skew = fc.constantFrom(0, -600_000, 600_000, 1_000);

let network: RegistryCluster | undefined;
afterEach(async () => {
  await network?.close();
  network = undefined;
});

/** What a node lists by hostname: the version and, where somebody set one, the label. It is asked as things are, no time passes. */
async function shown(node: RegistryServer): Promise<Record<string, string>> {
  const { body } = await node.ask('GET', '/discovery/fetch/all', new URLSearchParams());
  const list: { hostname: string; version: string; metadata: { label?: string } }[] =
    JSON.parse(body).data?.['a'] ?? [];
  return Object.fromEntries(
    list.map(({ hostname, version, metadata: { label } }) => [
      hostname,
      label === undefined ? version : `${version}+${label}`,
    ]),
  );
}

describe('three nodes', () => {
  it('are of one mind after any interleaving: nobody lost, nobody resurrected', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 30 }),
        fc.tuple(skew, skew, skew),
        fc.nat(1_000),
        async (steps, skews, seed) => {
          const evictedAlive: string[] = [];
          const instances = new Map<string, SimulatedInstance>();
          const cluster = new RegistryCluster({
            ...{ seed, skews },
            registry: (at) => ({
              onEvent: ({ name, fields: { hostname } }) => {
                const instance = instances.get(String(hostname));
                if (name !== 'evicted' || instance === undefined) return;
                if (clock.now() - (instance.heard.get(at) ?? Number.NEGATIVE_INFINITY) <= expiryMs)
                  evictedAlive.push(`${hostname} by ${at} at ${clock.now()}`);
                // What was set by a node that hears no renewals goes with what it knows.
                if (instance.written.node === at)
                  instance.written = { ...instance.written, content: undefined };
              },
            }),
          });
          network = cluster;
          const { clock } = cluster;
          await cluster.start(3);
          await clock.advance(1_000);
          for (const [at, name] of names.entries())
            instances.set(name, new SimulatedInstance(cluster, name, at % 3));
          const restarted = [0, 0, 0];
          for (const [at, one] of steps.entries()) {
            const instance = 'who' in one ? instances.get(names[one.who] ?? '') : undefined;
            if ((one.do === 'register' || one.do === 'cancel' || one.do === 'move') && instance)
              instance.home = one.node;
            if (one.do === 'register') instance?.register();
            else if (one.do === 'cancel') instance?.cancel();
            else if (one.do === 'crash') instance?.crash();
            else if (one.do === 'link') cluster.link(one.one, one.other, one.state);
            else if (one.do === 'part') cluster.part([one.node], one.state);
            else if (one.do === 'restart') {
              await cluster.restart(one.node);
              restarted[one.node] = clock.now();
            } else if (one.do === 'set') {
              const [listed] =
                (await shown(cluster.node(one.node)))[instance?.hostname ?? '']?.split('+') ?? [];
              if (listed !== undefined) instance?.set(one.node, { listed, label: String(at) });
            }
            // Writes of one moment have no order.
            await clock.advance(one.do === 'wait' ? one.ms : 20);
          }
          const restarts = steps.filter((one) => one.do === 'restart').length;
          /** What is to be listed of one: what was written last, unless the only node that surely had it lost that. */
          const contentOf = ({ written }: SimulatedInstance, found: string | undefined) => {
            const isKept = written.ms > (restarted[written.node] ?? 0);
            return isKept && written.content !== undefined ? written.content : (found ?? 'any');
          };
          cluster.part([0], 'up');
          cluster.part([1], 'up');
          // A hanging request ends, a lost peer is tried again; then one renewal and one comparison.
          await clock.advance(3_000 + renewMs + compareMs + 1_000);
          const lists = () => Promise.all([0, 1, 2].map((at) => shown(cluster.node(at))));
          const found = await lists();
          for (const instance of instances.values()) {
            const { hostname, alive, cancelled } = instance;
            const contents = [hostname, ...found.map((list) => list[hostname])];
            // A cancellation that a node forgot with its memory is one of those that only expire.
            if (cancelled && restarts === 0)
              expect(contents).toEqual([hostname, undefined, undefined, undefined]);
            if (alive) {
              const expected = contentOf(instance, contents[1]);
              expect(contents).toEqual([hostname, expected, expected, expected]);
            }
          }
          // Each sweep takes one of so few, those among them under which restarted nodes were known before; and a node
          // that started judges nobody for the time of an expiry.
          const gone = names.length + restarts;
          await clock.advance((restarts > 0 ? 2 : 1) * expiryMs + sweepMs * (gone + 1));
          const settled = await lists();
          const living = [...instances.values()].filter(({ alive }) => alive);
          const expected = Object.fromEntries(
            living.map((one) => [one.hostname, contentOf(one, settled[0]?.[one.hostname])]),
          );
          expect(settled).toEqual([expected, expected, expected]);
          expect(evictedAlive).toEqual([]);
          const quiet = [
            ['up', 0],
            ['up', 0],
          ];
          for (const one of cluster.nodes) {
            const peers = () => one.stats().peers.map(({ status, queued }) => [status, queued]);
            // Renewals of a moment are gathered before they are sent.
            for (let waited = 0; waited < 4 && String(peers()) !== String(quiet); waited++)
              await clock.advance(170);
            expect(peers()).toEqual(quiet);
          }
          await cluster.close();
          network = undefined;
        },
      ),
      { numRuns: Number(process.env['RUNS'] ?? 12), interruptAfterTimeLimit: 600_000 },
    );
  }, 900_000);
});
