// Thousands that wait for one change.
import { Connection } from './connection.mjs';
import { openMany } from './load.mjs';
import { residentBytes } from './servers.mjs';

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @param {{ host: string, pid: number }} server
 * @param {import('./protocols.mjs').Protocol} protocol
 * @param {{ watchers: number, rounds: number, during?: () => Promise<void> }} scale `during`: while all wait
 */
export async function watchersOf({ host, pid }, protocol, { watchers, rounds, during }) {
  const before = residentBytes(pid);
  const open = await openMany(host, watchers);
  const changer = await Connection.open(host);
  const sockets = open.map(({ socket }) => socket);
  // Their answers are not read as such: that one came is all that counts, and 10 000 parsers would be measured too.
  let waited = 0;
  let told = () => {};
  for (const socket of sockets) {
    socket.removeAllListeners('data');
    let begun = '';
    socket.on('data', (chunk) => {
      if (begun === 'told') return;
      // Of a large answer the beginning is enough.
      begun = `${begun}${chunk.toString('latin1', 0, 512)}`;
      if (!protocol.isChange(Buffer.from(begun))) return;
      begun = 'told';
      waited--;
      if (waited === 0) told();
    });
    socket.on('rearm', () => {
      begun = '';
    });
  }
  /** @type {{ firstMs: number, lastMs: number }[]} */
  const times = [];
  let bytes = 0;
  for (let round = 0; round < rounds; round++) {
    const streaming = protocol.poll === undefined;
    for (const socket of sockets) {
      socket.emit('rearm');
      if (!streaming || round === 0) socket.write(protocol.watch);
    }
    // Nothing tells from outside that the last of them waits.
    await pause(round === 0 ? 3_000 : 1_500);
    if (round === 0) {
      bytes = (residentBytes(pid) - before) / watchers;
      await during?.();
    }
    waited = watchers;
    const all = new Promise((resolve) => {
      told = () => resolve(undefined);
    });
    const from = performance.now();
    await changer.ask(protocol.change(round));
    const firstMs = performance.now() - from;
    await Promise.race([all, pause(60_000)]);
    if (waited > 0) throw new Error(`${host}: ${waited} of ${watchers} watchers were not told`);
    times.push({ firstMs, lastMs: performance.now() - from });
    await pause(300);
  }
  for (const connection of open) connection.close();
  changer.close();
  times.sort((a, b) => a.lastMs - b.lastMs);
  return { bytes, last: times[Math.floor(times.length / 2)] ?? { firstMs: Number.NaN, lastMs: Number.NaN } };
}
