/** @typedef {import('./replica.mjs').Replica} Replica */
/** @typedef {import('keelson/core').Endpoint} Endpoint */
/** @typedef {import('./tally.mjs').Tally} Tally */

/**
 * The replicas as they are. Clients reach them by it; of the rules, oracles read the truth here, and those that send
 * messages of their own (probes, tokens) send them here, where they are counted.
 */
export class Fleet {
  /** @type {Map<string, Replica>} */
  #byId = new Map();

  /**
   * @param {import('../engine/world.mjs').World} world
   * @param {readonly Replica[]} replicas @param {number} clients how many there are
   * @param {() => number} wireMs @param {Tally} tally
   */
  constructor(world, replicas, clients, wireMs, tally) {
    this.world = world;
    this.replicas = replicas;
    this.clients = clients;
    this.wireMs = wireMs;
    this.tally = tally;
  }

  /** @param {Endpoint} endpoint @param {Replica} replica */
  name(endpoint, replica) {
    this.#byId.set(endpoint.id, replica);
  }

  /** Who answers there. @param {string} id @returns {Replica} */
  replica(id) {
    return /** @type {Replica} */ (this.#byId.get(id));
  }

  /**
   * Asks a replica something, there and back over the wire; one that is down or stands still does not answer.
   *
   * @template T
   * @param {string} id @param {(replica: Replica, now: number) => T} ask @param {(answer: T, now: number) => void} hear
   */
  probe(id, ask, hear) {
    const replica = this.replica(id);
    this.message((now) => {
      if (!replica.up || replica.paused) return;
      const answer = ask(replica, now);
      this.message((then) => hear(answer, then));
    });
  }

  /** One message on the wire. @param {(now: number) => void} arrives */
  message(arrives) {
    this.tally.messages++;
    this.world.after(this.wireMs(), arrives);
  }
}
