// Ways to protect one and the same server from more than it can do.
import { createServer } from 'node:http';

/** How long the CPU is kept busy by a call, in rounds of `spin`, and how long it then waits, in milliseconds. */
/** @typedef {() => void | Promise<void>} Work */

/**
 * @typedef {object} Contender
 * @property {string} id
 * @property {string} name
 * @property {(work: Work) => Promise<import('node:http').Server>} [http] a server that answers `ok` when the work is done
 * @property {(work: Work) => Promise<import('@grpc/grpc-js').Server>} [grpc]
 */

const most = 20;

/** @param {Work} work @returns {import('node:http').RequestListener} */
const answering = (work) => async (_req, res) => {
  await work();
  res.end('ok');
};

/** @param {Work} work @param {import('@grpc/grpc-js').ServerOptions} [options] */
async function grpcServer(work, options) {
  const [{ Server, status }, { usersService }] = await Promise.all([
    import('@grpc/grpc-js'),
    import('../grpc-users.mjs'),
  ]);
  const server = new Server(options);
  /** @type {import('@grpc/grpc-js').handleUnaryCall<import('../grpc-users.mjs').User, import('../grpc-users.mjs').User>} */
  const handler = async (_call, done) => {
    await work();
    done(null, { name: 'ok' });
  };
  return { server, status, handler, usersService };
}

async function governedApp() {
  const { createApp } = await import('keelson');
  return createApp({ service: 'users', signals: false });
}

/** @returns {Promise<readonly import('keelson/core').Gate[]>} */
async function kratos() {
  const [{ bbr, bbrKratos }, { loadSignal }] = await Promise.all([
    import('keelson/limiter'),
    import('keelson/limiter/load'),
  ]);
  // As kratos smooths it: 0.95 for each half second.
  const load = loadSignal({ intervalMs: 500, smoothingMs: 9750 });
  load.start();
  return [bbr({ ...bbrKratos, load })];
}

/** @param {Work} work @param {readonly import('keelson/core').Gate[]} [limits] */
async function governedHttp(work, limits) {
  const app = await governedApp();
  return createServer(app.listener(answering(work), limits && { limits, queue: false }));
}

/** @param {Work} work @param {readonly import('keelson/core').Gate[]} [limits] */
async function governedGrpc(work, limits) {
  const [app, { governServer }] = await Promise.all([governedApp(), import('keelson/grpc')]);
  const interceptors = [governServer(app, limits && { limits, queue: false })];
  const { server, usersService, handler } = await grpcServer(work, { interceptors });
  server.addService(usersService, { Get: handler, Add: handler });
  return server;
}

/** @param {Work} work @param {import('@fastify/under-pressure').FastifyUnderPressureOptions} options */
async function underPressure(work, options) {
  const [{ default: fastify }, { default: plugin }] = await Promise.all([
    import('fastify'),
    import('@fastify/under-pressure'),
  ]);
  const app = fastify();
  await app.register(plugin, options);
  app.get('/work', async () => {
    await work();
    return 'ok';
  });
  await app.ready();
  return app.server;
}

/** @type {readonly Contender[]} */
export const contenders = [
  {
    id: 'none',
    name: 'no limiter',
    http: async (work) => createServer(answering(work)),
    grpc: async (work) => {
      const { server, usersService, handler } = await grpcServer(work);
      server.addService(usersService, { Get: handler, Add: handler });
      return server;
    },
  },
  {
    id: 'fixed',
    name: `at most ${most} in flight`,
    http: async (work) => {
      let inflight = 0;
      const answer = answering(work);
      return createServer(async (req, res) => {
        if (inflight >= most) {
          res.writeHead(503, { 'content-length': 0 }).end();
          return;
        }
        inflight++;
        await answer(req, res);
        inflight--;
      });
    },
    grpc: async (work) => {
      let inflight = 0;
      const { server, usersService, handler, status } = await grpcServer(work);
      /** @type {typeof handler} */
      const limited = async (call, done) => {
        if (inflight >= most) {
          done({ code: status.RESOURCE_EXHAUSTED, details: 'busy' });
          return;
        }
        inflight++;
        await handler(call, done);
        inflight--;
      };
      server.addService(usersService, { Get: limited, Add: limited });
      return server;
    },
  },
  {
    id: 'under-pressure',
    name: '@fastify/under-pressure, as in its README',
    http: (work) => underPressure(work, { maxEventLoopDelay: 1000, maxEventLoopUtilization: 0.98 }),
  },
  {
    id: 'under-pressure.tuned',
    name: 'the same, 50 ms of delay looked at each 100 ms',
    http: (work) => underPressure(work, { maxEventLoopDelay: 50, sampleInterval: 100 }),
  },
  {
    id: 'kratos',
    name: "keelson, kratos' BBR",
    http: async (work) => governedHttp(work, await kratos()),
    grpc: async (work) => governedGrpc(work, await kratos()),
  },
  {
    id: 'keelson',
    name: 'keelson, its defaults',
    http: (work) => governedHttp(work),
    grpc: (work) => governedGrpc(work),
  },
];
