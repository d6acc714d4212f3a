// Runs the conformance suite of the discovery protocol against any server.
//
//   npm run conformance:registry -- http://127.0.0.1:7171
//   npm run conformance:registry -- original      a node of bilibili/discovery, started for it
//   npm run conformance:registry                  our own
//
// A token is taken from KEELSON_REGISTRY_TOKEN. The server should be idle: some apps come and go in the env `conformance`.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { originalProgram, startOriginal } from '../bench/registry/servers.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const [subject, ...rest] = process.argv.slice(2);

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(`conformance:registry: ${message}`);
  process.exit(2);
}

async function startGiven() {
  const program = originalProgram();
  if (program === undefined)
    return fail('there is no bilibili/discovery: name its program by KEELSON_BILIBILI_DISCOVERY');
  return await startOriginal(program);
}

/** Only ours has this path. @param {string} url */
async function isOurs(url) {
  const token = process.env.KEELSON_REGISTRY_TOKEN;
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const found = await fetch(`${url}/discovery/peer/digest`, { headers }).catch((error) =>
    fail(`${url} does not answer: ${error.cause?.message ?? error.message}`),
  );
  return found.status !== 404;
}

if (rest.length > 0 || subject?.startsWith('-')) fail('takes one URL, or "original", or nothing');
const started = subject === 'original' ? await startGiven() : undefined;
const given = started ? `http://${started.host}` : subject;
if (given !== undefined && !(URL.canParse(given) && new URL(given).protocol === 'http:'))
  fail(`takes a URL such as http://127.0.0.1:7171, got ${JSON.stringify(given)}`);
const url = given?.replace(/\/+$/, '');
const env = {
  ...process.env,
  ...(url && { KEELSON_CONFORMANCE_URL: url, KEELSON_CONFORMANCE_OURS: (await isOurs(url)) ? '1' : '0' }),
  ...(process.env.KEELSON_REGISTRY_TOKEN && {
    KEELSON_CONFORMANCE_TOKEN: process.env.KEELSON_REGISTRY_TOKEN,
  }),
};
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const suite = 'test/conformance/discovery-protocol.test.ts';
const child = spawn(process.execPath, [vitest, 'run', suite], { cwd: root, stdio: 'inherit', env });
child.once('exit', (code) => {
  void Promise.resolve(started?.stop()).then(() => process.exit(code ?? 1));
});
