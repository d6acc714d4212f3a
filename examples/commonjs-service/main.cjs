// A CommonJS service in the style of NestJS: classes, a module that wires them, the app's life tied to init and destroy.
//
// expect: GET /greet/ada -> 200 Hello, ada
// expect: ready before: 200, stopped: true
const http = require('node:http');
const { createApp, memory } = require('keelson');

class GovernanceModule {
  constructor(service, registry) {
    this.app = createApp({ service, registry, signals: false });
  }
  client(service) {
    return this.app.fetch(service);
  }
  async onModuleDestroy() {
    await this.app.stop();
  }
}

class NamesService {
  constructor(governance) {
    this.names = governance.client('names');
  }
  async find(id) {
    const response = await this.names(`/names/${encodeURIComponent(id)}`);
    return response.text();
  }
}

class GreetController {
  constructor(names) {
    this.names = names;
  }
  async handle(req, res) {
    const name = await this.names.find(req.url.split('/').pop());
    res.end(`Hello, ${name}`);
  }
}

async function bootstrap() {
  const registry = memory();
  const backend = new GovernanceModule('names', registry);
  const namesServer = http.createServer(
    backend.app.listener((req, res) => void res.end(req.url?.split('/').pop())),
  );
  await backend.app.serve(namesServer, { host: '127.0.0.1' });

  const governance = new GovernanceModule('greeter', registry);
  const controller = new GreetController(new NamesService(governance));
  const server = http.createServer(
    governance.app.listener((req, res) => controller.handle(req, res), {
      routes: ['/greet/:name'],
      health: true,
    }),
  );
  const { url } = await governance.app.serve(server, { host: '127.0.0.1' });

  const answer = await fetch(`${url}/greet/ada`);
  console.log(`GET /greet/ada -> ${answer.status} ${await answer.text()}`);
  const ready = await fetch(`${url}/readyz`);
  await governance.onModuleDestroy();
  await backend.onModuleDestroy();
  console.log(`ready before: ${ready.status}, stopped: ${governance.app.state === 'stopped'}`);
}

bootstrap().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
