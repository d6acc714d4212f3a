#!/usr/bin/env node
// The demo: real processes, real faults, the same load twice. First plain fetch with round robin, then keelson.
//
//   npm run demo                     about 45 seconds with the build, a live table in a terminal
//   npm run demo -- --json           one JSON object at the end, nothing else on stdout
//   npm run demo -- --seconds 60 --rps 300
//
// Exit code 0 only if the governed phase answers 99.9 % and gives the slow replica at most half its fair share.
import { openLoop } from './load.mjs';
import { demoOptions, usage } from './options.mjs';
import { startCluster } from './processes.mjs';
import { summary, verdict } from './summary.mjs';
import { screen } from './table.mjs';

const options = demoOptions(process.argv.slice(2));
if (options.help) {
  process.stdout.write(usage);
  process.exit(0);
}

const cluster = await startCluster();
// Whatever happens, no child outlives the demo.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    cluster.kill();
    process.exit(130);
  });
}
process.once('exit', () => cluster.kill());

const view = screen({ json: options.json, tty: process.stdout.isTTY === true });
view.say(`users: ${cluster.describe()}`);
view.say(`load: ${options.rps} requests a second at orders, open loop, ${options.phaseSeconds} s a phase\n`);

async function phase(mode) {
  await cluster.beginPhase(mode);
  const load = openLoop({ url: cluster.ordersUrl, rps: options.rps, seconds: options.phaseSeconds, seed: 7 });
  const crash = setTimeout(() => cluster.crashAndReplace(), options.phaseSeconds * 1000 * 0.35);
  const draw = setInterval(
    async () => view.update(mode, await cluster.stats(), load.progress()),
    view.everyMs,
  );
  const result = await load.done;
  clearTimeout(crash);
  clearInterval(draw);
  await cluster.settled();
  const replicas = await cluster.stats();
  view.update(mode, replicas, load.progress());
  view.endPhase();
  return { mode, ...result, replicas };
}

const plain = await phase('plain');
const governed = await phase('keelson');
const report = { plain, keelson: governed, ...verdict(plain, governed, cluster) };
await cluster.stop();
view.finish(options.json ? `${JSON.stringify(report)}\n` : summary(report));
process.exitCode = report.passed ? 0 : 1;
