// Callers of keelson: what they hold back costs the server nothing.
import { createApp } from 'keelson';
import { isGovernanceError } from 'keelson/core';

/** As many processes call as here are apps: each knows only what it was told itself. */
const apps = 10;

/** Who calls: `governed`, with what a client has by default; `unthrottled`, without a breaker. @typedef {'governed' | 'unthrottled'} FetchCallers */

/** @param {unknown} error @returns {import('./http-sender.mjs').End} */
function endOf(error) {
  // No endpoint: each was refused by its breaker.
  const held = isGovernanceError(error) && ['BREAKER_OPEN', 'NO_ENDPOINT'].includes(error.code);
  return held ? 'held' : 'failed';
}

export class FetchSender {
  /** @param {{ port: number, deadlineMs: number, callers: FetchCallers }} target @param {() => number} random */
  constructor({ port, deadlineMs, callers }, random) {
    this.random = random;
    const options = { timeoutMs: deadlineMs, ...(callers === 'unthrottled' && { gates: () => [] }) };
    this.apps = Array.from({ length: apps }, () =>
      createApp({ service: 'caller', endpoints: { users: [`http://127.0.0.1:${port}`] }, signals: false }),
    );
    this.fetches = this.apps.map((app) => app.fetch('users', options));
  }

  async ready() {}

  /** @param {(end: import('./http-sender.mjs').End) => void} done called once, unless it is aborted @returns {() => void} what aborts it */
  send(done) {
    const at = Math.floor(this.random() * apps);
    const users = /** @type {import('keelson').GovernedFetch} */ (this.fetches[at]);
    // Its own deadline ends it.
    let wanted = true;
    const end = (/** @type {import('./http-sender.mjs').End} */ what) => {
      if (wanted) done(what);
    };
    users('/work').then(
      async (response) => {
        await response.text();
        end(response.status === 200 ? 'ok' : response.status === 503 ? 'refused' : 'failed');
      },
      (error) => end(endOf(error)),
    );
    return () => {
      wanted = false;
    };
  }

  close() {
    for (const app of this.apps) void app.stop();
  }
}
