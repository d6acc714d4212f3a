// Who is compared, each with itself: bare, and governed by its adapter. Libraries are loaded only by the process that runs
// them: some replace globals of the platform.

/** @typedef {import('keelson').App} App */
/** @typedef {() => Promise<number>} CallOnce resolves to 1 when it was answered as it should be */
/** @typedef {(url: string, app: App | undefined) => CallOnce} Caller */
/** @typedef {(app: App | undefined) => CallOnce} Stub */
/** @typedef {import('node:http').Server | import('@grpc/grpc-js').Server} Server */

/** Clients: those that are measured, and those that drive the servers. @type {Readonly<Record<string, () => Promise<Caller>>>} */
export const callers = {
  fetch: async () => (await import('./clients/fetch.mjs')).fetchCaller,
  axios: async () => (await import('./clients/axios.mjs')).axiosCaller,
  'axios.itself': async () => (await import('./clients/axios.mjs')).axiosItselfCaller,
  'grpc-js': async () => (await import('./clients/grpc-js.mjs')).grpcJsCaller,
  'nice-grpc': async () => (await import('./clients/nice-grpc.mjs')).niceGrpcCaller,
  connect: async () => (await import('./clients/connect.mjs')).connectCaller,
  undici: async () => (await import('./clients/undici.mjs')).undiciCaller,
  'undici.fetch': async () => (await import('./clients/undici.mjs')).undiciFetchCaller,
};

/** @type {Readonly<Record<string, () => Promise<(app: App | undefined) => Server | Promise<Server>>>>} */
export const servers = {
  'node-http': async () => (await import('./servers/node-http.mjs')).nodeHttpServer,
  express: async () => (await import('./servers/express.mjs')).expressServer,
  fastify: async () => (await import('./servers/fastify.mjs')).fastifyServer,
  koa: async () => (await import('./servers/koa.mjs')).koaServer,
  hono: async () => (await import('./servers/hono.mjs')).honoServer,
  grpc: async () => (await import('./servers/grpc.mjs')).grpcJsServer,
  connect: async () => (await import('./servers/connect.mjs')).connectServer,
};

/** Clients over an answer that needs no network. @type {Readonly<Record<string, () => Promise<Stub>>>} */
export const stubs = {
  fetch: async () => (await import('./clients/fetch.mjs')).fetchStub,
  axios: async () => (await import('./clients/axios.mjs')).axiosStub,
  connect: async () => (await import('./clients/connect.mjs')).connectStub,
};

/**
 * @typedef {object} Pair
 * @property {string} id
 * @property {string} name what a reader of the table is told
 * @property {'client' | 'server'} governs which side is bare or governed; its process is the one whose CPU time counts
 * @property {string} caller key of {@link callers}
 * @property {string} server key of {@link servers}
 * @property {{ readonly of: string, readonly name: string }} [stub] a key of {@link stubs}, or a server over a connection in memory
 */

/** @param {string} id @param {string} name @param {string} server @returns {Pair} */
const client = (id, name, server) => ({ id, name, governs: 'client', caller: id, server });

/** @param {string} id @param {string} name @returns {Pair} */
const httpServer = (id, name) => ({
  ...{ id, name, governs: 'server', caller: 'undici', server: id },
  stub: { of: id, name: `${name}, connection in memory` },
});

/** @type {readonly Pair[]} */
export const pairs = [
  { ...client('fetch', 'fetch', 'node-http'), stub: { of: 'fetch', name: 'fetch, stub' } },
  {
    ...client('axios', 'axios, http adapter', 'node-http'),
    stub: { of: 'axios', name: 'axios, stub adapter' },
  },
  client('undici.fetch', 'fetch of the undici package', 'node-http'),
  client('axios.itself', 'axios, http adapter, `axios` given', 'node-http'),
  client('grpc-js', 'grpc-js, unary', 'grpc'),
  client('nice-grpc', 'nice-grpc, unary', 'grpc'),
  {
    ...client('connect', 'Connect client, HTTP/1.1', 'connect'),
    stub: { of: 'connect', name: 'Connect client, router transport' },
  },
  httpServer('node-http', 'node:http'),
  httpServer('express', 'Express 5'),
  httpServer('fastify', 'Fastify 5'),
  httpServer('koa', 'Koa 3'),
  httpServer('hono', 'Hono'),
  {
    ...{ id: 'grpc', name: 'gRPC server, unary', governs: 'server', caller: 'grpc-js', server: 'grpc' },
    stub: { of: 'grpc', name: 'gRPC server, connection in memory' },
  },
  {
    ...{ id: 'connect.server', name: 'Connect server, HTTP/1.1', governs: 'server' },
    ...{ caller: 'connect', server: 'connect' },
  },
];
