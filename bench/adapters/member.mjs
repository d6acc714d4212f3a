// One process of a pair, so that CPU time is the work of one side alone, and the compiler and AsyncLocalStorage know of no
// other. Told by its parent what to do, answers each message with one.
//   member.mjs server <server> bare|governed
//   member.mjs caller <caller> bare|governed <url>
//   member.mjs stub <stub or server> bare|governed
import { load } from './load.mjs';
import { callers, servers, stubs } from './pairs.mjs';

const [role, name = '', variant, url = 'http://10.0.0.1:80'] = process.argv.slice(2);

async function governedApp() {
  const { createApp } = await import('keelson');
  return createApp({ service: 'bench', endpoints: { users: [url] }, signals: false });
}
const app = variant === 'governed' ? await governedApp() : undefined;

/** @param {string} kind @param {Readonly<Record<string, () => Promise<any>>>} known */
async function made(kind, known) {
  const load = known[name];
  if (load === undefined) throw new Error(`there is no ${kind} ${name}`);
  return load();
}

/** @param {any} server */
async function listen(server) {
  if ('bindAsync' in server) {
    const { ServerCredentials } = await import('@grpc/grpc-js');
    return new Promise((resolve, reject) => {
      const done = (/** @type {Error | null} */ error, /** @type {number} */ port) =>
        error ? reject(error) : resolve(`grpc://127.0.0.1:${port}`);
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), done);
    });
  }
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`)),
  );
}

/** @param {any} server */
async function callerInMemory(server) {
  return 'bindAsync' in server
    ? (await import('./memory-http2.mjs')).memoryHttp2Caller(server)
    : (await import('./memory-connection.mjs')).memoryCaller(server);
}

async function begun() {
  if (role === 'server') return { url: await listen(await (await made('server', servers))(app)) };
  if (role === 'caller') return { call: (await made('caller', callers))(url, app) };
  if (name in stubs) return { call: (await made('stub', stubs))(app) };
  return { call: await callerInMemory(await (await made('server', servers))(app)) };
}

const member = await begun();
process.on('message', async (/** @type {{ load?: { atOnce: number, forMs: number } }} */ message) => {
  if (message.load !== undefined && member.call) process.send?.(await load(member.call, message.load));
  else {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuUs: user + system });
  }
});
process.once('disconnect', () => process.exit());
process.send?.({ url: member.url });
