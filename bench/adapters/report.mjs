import { markdown } from '../table.mjs';

/** @typedef {import('./contest.mjs').Figures} Figures */
/** @typedef {import('./contest.mjs').Compared} Compared */

/** @param {Compared} compared */
const three = ({ bare, governed, ratio }) => [bare.toFixed(0), governed.toFixed(0), ratio.toFixed(2)];

/** @param {readonly Figures[]} figures */
function loopback(figures) {
  const heads = ['over loopback', 'at once'];
  for (const what of ['p50 µs', 'p99 µs', 'calls/s', 'CPU µs/call']) heads.push(what, 'governed', '×');
  const rows = figures.flatMap(({ name, loads }) =>
    loads.map(({ atOnce, p50Us, p99Us, perSecond, cpuUs }) => [
      name,
      String(atOnce),
      ...[p50Us, p99Us, perSecond, cpuUs].flatMap(three),
    ]),
  );
  return markdown(heads, rows);
}

/** @param {readonly Figures[]} figures */
function overStubs(figures) {
  const heads = ['over a stub', 'µs/call', 'governed', 'added µs', 'added CPU µs'];
  const rows = figures.flatMap(({ stubName = '', stub }) =>
    stub === undefined
      ? []
      : [
          [
            stubName,
            ...[stub.bareUs, stub.governedUs, stub.addedUs, stub.addedCpuUs].map((us) => us.toFixed(1)),
          ],
        ],
  );
  return markdown(heads, rows);
}

/** @param {readonly Figures[]} figures */
export function adaptersText(figures) {
  const clients = figures.filter(({ governs }) => governs === 'client');
  const servers = figures.filter(({ governs }) => governs === 'server');
  const failures = figures
    .flatMap(({ name, failed, reason, stubName = '', stub }) => [
      { name, failed, reason },
      { name: stubName, failed: stub?.failed ?? 0, reason: stub?.reason },
    ])
    .filter(({ failed }) => failed > 0)
    .map(({ name, failed, reason }) => `NOT ANSWERED: ${failed} calls of ${name}; the first: ${reason}`);
  return [
    `Clients, bare and governed; CPU time is the client's\n\n${loopback(clients)}`,
    `Servers, bare and governed; CPU time is the server's\n\n${loopback(servers)}`,
    `The work of the adapters alone\n\n${overStubs(figures)}`,
    ...failures,
  ].join('\n\n');
}
