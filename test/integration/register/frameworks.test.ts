import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ArrivedSpan } from '../../doubles/arrived-span.js';
import { type BuiltPackage, builtPackage } from '../../doubles/built-package.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';
import { TracedProgram } from '../../doubles/traced-program.js';

let built: BuiltPackage;
let collector: ScriptedCollector;

beforeAll(async () => {
  built = await builtPackage(fileURLToPath(new URL('fixtures', import.meta.url)));
  collector = await new ScriptedCollector().start();
}, 120_000);
afterAll(async () => {
  built?.remove();
  await collector?.stop();
});

function program(file: string, flags: readonly string[] = []): TracedProgram {
  return new TracedProgram(file, {
    folder: built.folder,
    flags: [...flags, '--import', 'keelson/register'],
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_SERVICE_NAME: 'shop',
    },
  });
}

function get(port: number | undefined, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => resolve(body));
      })
      .on('error', reject);
  });
}

describe('frameworks as they are', () => {
  it('name spans by their routes: Express 5 and 4, with mounted routers, and Fastify', async () => {
    collector.reset();
    const service = program('frameworks.mjs');
    const { ports } = await service.next<{ ports: number[] }>();
    await get(ports[0], '/orders/7');
    await get(ports[0], '/shops/7');
    await get(ports[1], '/four/7');
    await get(ports[2], '/fast/7');
    expect(await service.stop()).toEqual({ code: 0, signal: null });
    expect(collector.ofKind('SERVER').map(({ name }) => name)).toEqual([
      'GET /orders/:id',
      'GET /shops/:id',
      'GET /four/:id',
      'GET /fast/:id',
    ]);
    for (const { name, attributes } of collector.ofKind('SERVER'))
      expect(attributes['http.route']).toBe(name.slice('GET '.length));
  });
});

describe('gRPC by grpc-js as it is', () => {
  const parentOf = (spans: readonly ArrivedSpan[], span: ArrivedSpan | undefined): ArrivedSpan | undefined =>
    spans.find(({ spanId }) => spanId === span?.parentSpanId);

  async function calls() {
    collector.reset();
    const service = program('grpc.mjs');
    const { port } = await service.next<{ port: number }>();
    const answer = JSON.parse(await get(port, '/'));
    expect(await service.stop()).toEqual({ code: 0, signal: null });
    return { answer, spans: collector.arrived };
  }

  it('makes one CLIENT and one SERVER span of each call, with its status', async () => {
    const { answer, spans } = await calls();
    const rpc = (kind: ArrivedSpan['kind']) =>
      spans.filter((span) => span.kind === kind && span.name.startsWith('shop.'));
    const names = ['shop.Greeter/Fail', ...Array(3).fill('shop.Greeter/Hello'), 'shop.Greeter/Many'];
    expect(
      rpc('CLIENT')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(names);
    expect(
      rpc('SERVER')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(names);
    for (const server of rpc('SERVER'))
      expect(parentOf(spans, server)).toMatchObject({ kind: 'CLIENT', name: server.name });
    const failed = spans.filter(({ name }) => name === 'shop.Greeter/Fail');
    for (const { kind, status, attributes } of failed) {
      expect(attributes).toMatchObject({
        'rpc.system.name': 'grpc',
        'rpc.response.status_code': 'NOT_FOUND',
      });
      // Each status but OK is an error of the call; only some are the server's.
      expect(status).toBe(kind === 'CLIENT' ? 2 : 0);
    }
    expect(answer.failed).toBe(5);
    expect(answer.parents.map((headers: string[]) => headers.length)).toEqual([1, 1, 1]);
  });

  it('has each call below its own caller, also those that waited for the connection together', async () => {
    const { spans } = await calls();
    const works = spans.filter(({ name }) => name.startsWith('work '));
    expect(works).toHaveLength(3);
    for (const work of works) {
      const server = parentOf(spans, work);
      const client = parentOf(spans, server);
      const caller = parentOf(spans, client);
      expect([server?.kind, client?.kind, caller?.name]).toEqual([
        'SERVER',
        'CLIENT',
        work.name.replace('work', 'ask'),
      ]);
    }
  });
});
