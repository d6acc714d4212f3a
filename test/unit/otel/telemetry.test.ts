import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Context, context, metrics, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { type SpanExporterShape, type Telemetry, type TelemetryOptions, telemetry } from 'keelson/otel';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';

interface Exported {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: { readonly attributes: Readonly<Record<string, unknown>> };
}

/** An exporter of the SDK's shape that keeps what it is given. */
function keeping(): SpanExporterShape & { readonly spans: Exported[]; shut: number } {
  const kept = {
    spans: [] as Exported[],
    shut: 0,
    export(spans: readonly Exported[], done: (result: { code: number }) => void): void {
      kept.spans.push(...spans);
      done({ code: 0 });
    },
    shutdown(): Promise<void> {
      kept.shut++;
      return Promise.resolve();
    },
  };
  return kept as unknown as SpanExporterShape & { spans: Exported[]; shut: number };
}

const made: Telemetry[] = [];
function built(options: Partial<TelemetryOptions> = {}): {
  readonly t: Telemetry;
  readonly warnings: string[];
} {
  const warnings: string[] = [];
  const t = telemetry({ service: 'shop', warn: (message) => warnings.push(message), ...options });
  made.push(t);
  return { t, warnings };
}

afterEach(async () => {
  for (const t of made.splice(0)) await t.shutdown();
  for (const api of [trace, metrics, propagation, context]) api.disable();
});

const always = { mode: 'always' } as const;
const otherProvider = () => {
  const names: string[] = [];
  const tracer = {
    startSpan(name: string) {
      names.push(name);
      return trace.wrapSpanContext({ traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 });
    },
    startActiveSpan(name: string, run: (span: unknown) => unknown) {
      return run(this.startSpan(name));
    },
  };
  return { names, provider: { getTracer: () => tracer } as never };
};

describe('with nobody to send to', () => {
  it('nothing is registered, and every call is one without effect', async () => {
    const before = process.listenerCount('beforeExit');
    const { t, warnings } = built();
    expect([t.traces, t.metrics]).toEqual(['off', 'off']);
    expect(trace.getTracer('user').startSpan('x').isRecording()).toBe(false);
    expect(context.with(ROOT_CONTEXT.setValue(Symbol.for('a'), 1), () => context.active())).toBe(
      ROOT_CONTEXT,
    );
    t.setSampling(always);
    expect(t.flushTrace('1'.repeat(32))).toBe(0);
    expect(await t.collect()).toEqual([]);
    expect((await t.metricsText()).body).toBe('');
    expect(t.losses()).toEqual({});
    await t.flush();
    expect(process.listenerCount('beforeExit')).toBe(before);
    expect(warnings).toEqual([]);
  });
});

describe('with an exporter', () => {
  it('spans of the whole process go to it, under the name of the service', async () => {
    const exporter = keeping();
    const { t } = built({
      exporter,
      sampling: always,
      version: '1.2',
      instance: 'one',
      resource: { team: 'x', 'service.name': 'not this' },
    });
    expect([t.traces, t.metrics]).toEqual(['own', 'off']);
    trace.getTracer('user').startActiveSpan('outer', (outer) => {
      trace.getTracer('user').startSpan('inner').end();
      outer.end();
    });
    await t.flush();
    expect(exporter.spans.map(({ name }) => name)).toEqual(['inner', 'outer']);
    expect(exporter.spans[0]?.resource.attributes).toMatchObject({
      'service.name': 'shop',
      'service.version': '1.2',
      'service.instance.id': 'one',
      'telemetry.sdk.name': 'keelson',
      team: 'x',
    });
  });

  it('shutdown takes everything back, once', async () => {
    const exporter = keeping();
    const { t } = built({ exporter, sampling: always });
    trace.getTracer('user').startSpan('last').end();
    await Promise.all([t.shutdown(), t.shutdown(), t[Symbol.asyncDispose]()]);
    expect(exporter.shut).toBe(1);
    expect(exporter.spans.map(({ name }) => name)).toEqual(['last']);
    expect(trace.getTracer('user').startSpan('after').isRecording()).toBe(false);
    expect(t.traces).toBe('off');
    // Another one can be made.
    expect(built({ exporter: keeping() }).t.traces).toBe('own');
  });

  it('sampling can be set anew', async () => {
    const exporter = keeping();
    const { t } = built({ exporter, sampling: { mode: 'off' } });
    trace.getTracer('user').startSpan('unseen').end();
    t.setSampling(always);
    trace.getTracer('user').startSpan('seen').end();
    await t.flush();
    expect(exporter.spans.map(({ name }) => name)).toEqual(['seen']);
    expect(() => t.setSampling({ mod: 'always' } as never)).toThrow(/^setSampling\.mod/);
    expect(() => t.setSampling({ mode: 'ratio', ratio: 2 })).toThrow(/^setSampling\.ratio must be/);
  });

  it('a trace that was not kept can be asked for', async () => {
    const exporter = keeping();
    const sampling = {
      mode: 'tail',
      perSecond: 0.000_001,
      rareMs: Number.POSITIVE_INFINITY,
      graceMs: 0,
    } as const;
    const { t } = built({ exporter, sampling });
    const ids: string[] = [];
    for (let at = 0; at < 50; at++) {
      const span = trace.getTracer('user').startSpan('usual');
      ids.push(span.spanContext().traceId);
      span.end();
    }
    await t.flush();
    const dropped = ids.at(-1) as string;
    const before = exporter.spans.length;
    expect(t.flushTrace(dropped)).toBe(1);
    await t.flush();
    expect(exporter.spans).toHaveLength(before + 1);
  });

  it('what an exporter loses is counted by reason, and shown', async () => {
    const failing = {
      export: (_: never, done: (r: { code: number }) => void) => done({ code: 1 }),
      shutdown: () => Promise.resolve(),
    };
    const { t } = built({ exporter: failing, sampling: always, metrics: true });
    trace.getTracer('user').startSpan('lost').end();
    await t.flush();
    expect(t.losses()).toMatchObject({ export_failed: 1, queue_full: 0 });
    const { body } = await t.metricsText();
    expect(body).toMatch(/keelson_telemetry_spans_lost_total\{[^}]*reason="export_failed"[^}]*\} 1\n/);
  });

  it('a shutdown has a limit, however long the exporter takes', async () => {
    const clock = manualClock();
    const hanging = { export: () => undefined, shutdown: () => new Promise<void>(() => undefined) };
    const { t } = built({ exporter: hanging, sampling: always, shutdownTimeoutMs: 400, clock });
    trace.getTracer('user').startSpan('stuck').end();
    let done = false;
    const closing = t.shutdown().then(() => {
      done = true;
    });
    for (let at = 0; at < 50 && !done; at++) {
      await clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closing;
    expect(done).toBe(true);
  });

  it('processors of the SDK see what they see there', async () => {
    const seen: string[] = [];
    const processor = {
      onStart: (span: { name: string }) => void seen.push(`start ${span.name}`),
      onEnd: (span: { name: string }) => void seen.push(`end ${span.name}`),
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
    };
    const { t } = built({ processors: [processor as never], sampling: always });
    expect(t.traces).toBe('own');
    trace.getTracer('user').startSpan('x').end();
    expect(seen).toEqual(['start x', 'end x']);
  });
});

describe('an SDK that is registered already', () => {
  it('makes the spans; one line says so, and measurements are added', async () => {
    const other = otherProvider();
    trace.setGlobalTracerProvider(other.provider);
    const exporter = keeping();
    const { t, warnings } = built({ exporter, metrics: true });
    expect([t.traces, t.metrics]).toEqual(['adopted', 'own']);
    trace.getTracer('user').startSpan('theirs').end();
    expect(other.names).toEqual(['theirs']);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('registered already');
    await t.shutdown();
    // It stays.
    trace.getTracer('user').startSpan('still theirs').end();
    expect(other.names).toEqual(['theirs', 'still theirs']);
    expect(exporter.spans).toEqual([]);
  });

  it('with metrics of its own keeps those too, and a line says so', () => {
    metrics.setGlobalMeterProvider({ getMeter: () => ({}) as never });
    const { t, warnings } = built({ metrics: true });
    expect(t.metrics).toBe('adopted');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /MeterProvider is registered already.*`metrics` of telemetry\(\) has no effect/,
    );
  });
});

describe('an SDK that is registered later', () => {
  it('takes over, also from tracers that were asked for before; what was recorded is sent', async () => {
    const exporter = keeping();
    const { t, warnings } = built({ exporter, sampling: always });
    const early = trace.getTracer('early');
    early.startSpan('ours').end();
    const other = otherProvider();
    expect(trace.setGlobalTracerProvider(other.provider)).toBe(true);
    early.startSpan('theirs').end();
    early.startActiveSpan('theirs too', (span) => span.end());
    trace.getTracer('late').startSpan('theirs as well').end();
    expect(other.names).toEqual(['theirs', 'theirs too', 'theirs as well']);
    await vi.waitFor(() => expect(exporter.spans.map(({ name }) => name)).toEqual(['ours']));
    expect(t.traces).toBe('adopted');
    expect(warnings).toHaveLength(1);
    // A third is refused by the api, as always.
    expect(trace.setGlobalTracerProvider(otherProvider().provider)).toBe(false);
    await t.shutdown();
    trace.getTracer('late').startSpan('after').end();
    expect(other.names).toContain('after');
  });

  it('brings its propagator and its meters', () => {
    const { t } = built({ exporter: keeping(), metrics: true });
    const theirs = {
      inject: () => undefined,
      extract: (within: Context) => within,
      fields: () => ['theirs'],
    };
    expect(propagation.setGlobalPropagator(theirs)).toBe(true);
    expect(propagation.fields()).toEqual(['theirs']);
    const provider = { getMeter: () => ({}) as never };
    expect(metrics.setGlobalMeterProvider(provider)).toBe(true);
    expect(metrics.getMeterProvider()).toBe(provider);
    expect([t.traces, t.metrics]).toEqual(['own', 'adopted']);
  });

  it('and measures from then on: what was measured is pushed once more, said, and told no longer', async () => {
    const clock = manualClock();
    const pushed: string[] = [];
    const collector = http.createServer((req, res) => {
      pushed.push(req.url ?? '');
      req.resume().on('end', () => res.writeHead(200).end());
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as AddressInfo;
    const { t, warnings } = built({
      endpoint: `http://127.0.0.1:${port}`,
      protocol: 'http/json',
      metrics: true,
      clock,
    });
    metrics.getMeter('user').createCounter('ours').add(3);
    expect((await t.metricsText()).body).toContain('ours_total');
    expect(metrics.setGlobalMeterProvider({ getMeter: () => ({}) as never })).toBe(true);
    expect(t.metrics).toBe('adopted');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/MeterProvider was registered after keelson/);
    expect(warnings[0]).not.toContain('OTEL_');
    await vi.waitFor(() => expect(pushed).toEqual(['/v1/metrics']));
    expect((await t.metricsText()).body).toBe('');
    expect(await t.collect()).toEqual([]);
    await clock.advance(600_000);
    await t.shutdown();
    expect(pushed).toEqual(['/v1/metrics']);
    await new Promise((resolve) => collector.close(resolve));
  });

  it('by a second copy of the api stays registered when ours ends', async () => {
    const registry = Symbol.for('opentelemetry.js.api.1');
    const home = globalThis as unknown as { readonly [registry]: Record<string, unknown> };
    const { t } = built({ exporter: keeping(), metrics: true });
    const signals = ['trace', 'metrics', 'propagation', 'context'];
    const theirs = {};
    // What that copy does once somebody has taken ours away by it.
    for (const signal of signals) home[registry][signal] = theirs;
    await t.shutdown();
    for (const signal of signals) {
      expect([signal, home[registry][signal] === theirs]).toEqual([signal, true]);
      delete home[registry][signal];
    }
  });
});

describe('another copy of the api that does not fit', () => {
  const registry = Symbol.for('opentelemetry.js.api.1');
  const home = globalThis as { [registry]?: unknown };
  const before = home[registry];
  afterEach(() => {
    home[registry] = before;
  });

  it('was used first: one line says what to do, and nothing is half registered', () => {
    home[registry] = { version: '1.0.0' };
    const { t, warnings } = built({ exporter: keeping() });
    expect(t.traces).toBe('off');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('install one @opentelemetry/api');
  });
});

it('can stay out of the process, for tests', async () => {
  const { t } = built({ exporter: keeping(), metrics: true, register: false });
  expect(trace.getTracer('user').startSpan('x').isRecording()).toBe(false);
  expect([t.traces, t.metrics]).toEqual(['own', 'own']);
});

describe('options that cannot be', () => {
  it.each([
    [{ service: '' }, 'telemetry.service'],
    [{ endpoint: 'nowhere' }, 'telemetry.endpoint'],
    [{ endpoint: 'http://c', protocol: 'udp' }, 'telemetry.protocol'],
    [{ endpoint: 'http://c', headers: { 'a b': 'c' } }, 'telemetry.headers["a b"]'],
    [{ endpoint: 'http://c', send: { batchSpans: 0 } }, 'telemetry.send.batchSpans'],
    [{ endpoint: 'http://c', spool: { folder: '' } }, 'telemetry.spool.folder'],
    [{ exporter: {} }, 'telemetry.exporter'],
    [{ processors: {} }, 'telemetry.processors'],
    [{ exporter: keeping(), sampling: { ratio: 2 } }, 'telemetry.sampling.ratio'],
    [{ exporter: keeping(), limits: { maxEvents: -1 } }, 'telemetry.limits.maxEvents'],
    [{ metrics: 'yes' }, 'telemetry.metrics'],
    [{ metrics: { seriesLimit: 1 } }, 'telemetry.metrics.seriesLimit'],
    [{ propagation: { inject: ['xray'] } }, 'telemetry.propagation.inject'],
    [{ shutdownTimeoutMs: -1 }, 'telemetry.shutdownTimeoutMs'],
    [{ sampler: 1 }, 'telemetry.sampler'],
  ])('%o', (options, field) => {
    expect(() => built(options as never)).toThrow(field);
    expect(trace.getTracer('user').startSpan('x').isRecording()).toBe(false);
  });
});
