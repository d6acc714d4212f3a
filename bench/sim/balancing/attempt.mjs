/**
 * @typedef {'travelling' | 'waiting' | 'asking' | 'running' | 'away' | 'over'} Stage where it is: on the wire, in the queue,
 * out of it until it is let, on the thread, in its I/O, gone
 */

/** One call of one client: what was drawn for it is the same under every rule. */
export class Call {
  done = false;
  retried = false;
  /** Its copies: the first, the second if there is one, and a retry. @type {Attempt[]} */
  attempts = [];
  /** How many of them ran. */
  runs = 0;
  /** The server of the first was asked to take it back, and has not answered. */
  asking = false;
  /** The first is known to never run. */
  cleared = false;

  /**
   * @param {import('./client.mjs').Client} client @param {number} at
   * @param {number} workMs CPU time at speed 1
   * @param {number} ioMs
   * @param {number} thereMs @param {number} backMs on the wire
   * @param {boolean} counted
   */
  constructor(client, at, workMs, ioMs, thereMs, backMs, counted) {
    this.client = client;
    this.at = at;
    this.workMs = workMs;
    this.ioMs = ioMs;
    this.thereMs = thereMs;
    this.backMs = backMs;
    this.counted = counted;
  }

  /** Whether one of them may still answer it. */
  get pending() {
    for (const { settled, out } of this.attempts) if (!settled && !out) return true;
    return false;
  }
}

/** One copy of a call on its way to one replica and back. */
export class Attempt {
  /** @type {Stage} */
  stage = 'travelling';
  /** @type {import('./thread.mjs').Thread | undefined} */
  thread = undefined;
  /** When it came to the replica, and how many were there before it. */
  cameAt = 0;
  met = 0;
  /** The client has heard the end of it. */
  settled = false;
  /** Its end is of no use to the call any more. */
  out = false;
  /** The client heard that it was started, or that it waits to be let. */
  noticed = false;
  /** Its server said so. */
  told = false;
  /** It has to ask before it starts. */
  claims = false;
  /** The client let it start. */
  let = false;
  /** Its server knows that. */
  granted = false;

  /**
   * @param {Call} call
   * @param {import('keelson/balancer').Lease<import('keelson/core').Endpoint>} lease
   * @param {import('./replica.mjs').Replica} replica
   * @param {number} thereMs @param {number} backMs @param {number} sentAt
   */
  constructor(call, lease, replica, thereMs, backMs, sentAt) {
    this.call = call;
    this.lease = lease;
    this.replica = replica;
    this.workMs = call.workMs;
    this.thereMs = thereMs;
    this.backMs = backMs;
    this.sentAt = sentAt;
  }
}
