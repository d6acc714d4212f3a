// W3C Trace Context: a service for the published harness, or our own cases against any service.
//
//   npm run conformance:trace-context -- --port 5000                        the service, until it is told to stop
//   python3 test.py http://127.0.0.1:5000/test                              the published suite against it (STRICT_LEVEL=2 SPEC_LEVEL=2)
//   npm run conformance:trace-context -- --check http://127.0.0.1:5000      our cases against any service that speaks its protocol
//   npm run conformance:trace-context                                       our cases against our service
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(`conformance:trace-context: ${message}`);
  process.exit(2);
}

function argumentsGiven() {
  try {
    return parseArgs({ options: { port: { type: 'string' }, check: { type: 'string' } } }).values;
  } catch (error) {
    return fail(error.message);
  }
}

/** @param {string} given */
async function serve(given) {
  const port = Number(given);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    fail(`takes a port, got ${JSON.stringify(given)}`);
  const { telemetry } = await import('keelson/otel');
  const { startService } = await import('../test/conformance/trace-context/service.mjs');
  const pipeline = telemetry({ service: 'trace-context', sampling: { mode: 'always' }, exporter: forgetful });
  const service = await startService({ port }).catch((error) => fail(error.message));
  console.log(`listening on ${service.url}: POST ${service.url}/test`);
  const stop = async () => {
    await service.close();
    await pipeline.shutdown();
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
}

/** Spans are made as anywhere else, and nobody wants to see them. */
const forgetful = {
  export: (_spans, done) => done({ code: 0 }),
  shutdown: () => Promise.resolve(),
};

/** @param {string | undefined} given */
function check(given) {
  if (given !== undefined && !(URL.canParse(given) && new URL(given).protocol === 'http:'))
    fail(`takes a URL such as http://127.0.0.1:5000, got ${JSON.stringify(given)}`);
  const url = given?.replace(/\/+$/, '').replace(/\/test$/, '');
  const env = { ...process.env, ...(url && { KEELSON_TRACE_CONTEXT_URL: url }) };
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const suite = 'test/conformance/trace-context.test.ts';
  const child = spawn(process.execPath, [vitest, 'run', suite], { cwd: root, stdio: 'inherit', env });
  child.once('exit', (code) => process.exit(code ?? 1));
}

const { port, check: url } = argumentsGiven();
if (port !== undefined && url !== undefined) fail('takes --port or --check, not both');
if (port !== undefined) await serve(port);
else check(url);
