import { kratosChoice } from './kratos.mjs';
import { whole } from './nodes.mjs';

/** @typedef {import('../fleet.mjs').Fleet} Fleet */

/** What the replicas know of the clients: one that has run out of work tells one of them, at random. @type {WeakMap<Fleet, ((id: string) => void)[]>} */
const clients = new WeakMap();

/**
 * A replica whose queue has become empty sends a token to some client, which sends its next call there; without a token a
 * client chooses as kratos v2 does.
 *
 * Source: Y. Lu and others, "Join-Idle-Queue: A Novel Load Balancing Algorithm for Dynamically Scalable Web Services", 2011,
 * JIQ-Random; there a client without a token chooses at random.
 *
 * @type {import('../cell.mjs').Rule}
 */
export const jiq = {
  name: 'JIQ tokens + kratos v2',
  kind: 'peer',
  make: (streams, _client, fleet) => {
    const inner = kratosChoice(streams('pick'));
    /** @type {string[]} */
    let tokens = [];
    /** @type {Set<string>} */
    let known = new Set();
    let others = clients.get(fleet);
    if (others === undefined) {
      /** @type {((id: string) => void)[]} */
      const all = [];
      others = all;
      clients.set(fleet, all);
      const random = streams('tokens');
      for (const replica of fleet.replicas) {
        replica.onIdle.push(() => {
          const { id } = replica.endpoint();
          const hears = all[whole(random, all.length)];
          fleet.message(() => hears?.(id));
        });
      }
    }
    others.push((id) => {
      if (known.has(id)) tokens.push(id);
    });
    return {
      update: (endpoints, now) => {
        known = new Set(endpoints.map(({ id }) => id));
        tokens = tokens.filter((id) => known.has(id));
        inner.update(endpoints, now);
      },
      pick: (now, hint) => {
        const at = tokens.findIndex((id) => hint?.avoid?.has(id) !== true);
        if (at < 0) return inner.pick(now, hint);
        const [id] = tokens.splice(at, 1);
        return inner.take(/** @type {string} */ (id), now);
      },
    };
  },
};
