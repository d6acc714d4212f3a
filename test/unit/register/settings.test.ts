import { DiagLogLevel } from '@opentelemetry/api';
import { beforeAll, describe, expect, it } from 'vitest';

// The module runs when it is imported; this way it does nothing.
process.env['OTEL_SDK_DISABLED'] = 'true';
let readSettings: typeof import('keelson/register')['readSettings'];
beforeAll(async () => {
  ({ readSettings } = await import('keelson/register'));
}, 120_000);

function read(environment: Record<string, string>) {
  const warnings: string[] = [];
  return { ...readSettings(environment, (message) => warnings.push(message)), warnings };
}

describe('with nothing set', () => {
  it('all is as the specification of OpenTelemetry has it, and nobody is warned', () => {
    expect(read({})).toMatchObject({
      disabled: false,
      service: undefined,
      traces: 'otlp',
      metrics: 'otlp',
      tracesTo: { url: 'http://localhost:4318/v1/traces', protocol: 'http/protobuf', headers: {} },
      metricsTo: { url: 'http://localhost:4318/v1/metrics', protocol: 'http/protobuf' },
      prometheus: { host: 'localhost', port: 9464 },
      sampling: { mode: 'always' },
      extract: undefined,
      inject: undefined,
      trust: 'private',
      innerHosts: [],
      warnings: [],
    });
  });

  it('an empty value is one that is not set', () => {
    expect(read({ OTEL_TRACES_SAMPLER: '', OTEL_EXPORTER_OTLP_ENDPOINT: ' ' })).toMatchObject({
      sampling: { mode: 'always' },
      tracesTo: { url: 'http://localhost:4318/v1/traces' },
      warnings: [],
    });
  });
});

describe('where signals are sent', () => {
  it.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:1' }, 'http://c:1/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:1/base/' }, 'http://c:1/base/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://t:2/own' }, 'http://t:2/own'],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:1', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://t:2/own' },
      'http://t:2/own',
    ],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'http://localhost:4317'],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_ENDPOINT: 'c:4317' }, 'https://c:4317'],
    [
      {
        OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
        OTEL_EXPORTER_OTLP_ENDPOINT: 'c:4317',
        OTEL_EXPORTER_OTLP_INSECURE: 'true',
      },
      'http://c:4317',
    ],
  ])('%o: %s', (environment, url) => {
    const { tracesTo, warnings } = read(environment as unknown as Record<string, string>);
    expect(tracesTo.url).toBe(url);
    expect(warnings).toEqual([]);
  });

  it('what one signal has of its own goes before what all have', () => {
    const { tracesTo, metricsTo } = read({
      OTEL_EXPORTER_OTLP_HEADERS: 'key=a%20b,tenant=x',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'key=c',
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
      OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: '700',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
      OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'http/json',
    });
    expect(tracesTo).toMatchObject({
      headers: { key: 'c', tenant: 'x' },
      timeoutMs: 500,
      compression: 'none',
    });
    expect(metricsTo).toMatchObject({
      headers: { key: 'a b', tenant: 'x' },
      timeoutMs: 700,
      protocol: 'http/json',
    });
  });
});

describe('which traces are kept', () => {
  it.each([
    [{ OTEL_TRACES_SAMPLER: 'always_off' }, { mode: 'off' }],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, { mode: 'ratio', amount: 0 }],
    [
      { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' },
      { mode: 'ratio', amount: 0.25 },
    ],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio' }, { mode: 'ratio', amount: 1 }],
    [{ KEELSON_SAMPLING: 'tail', OTEL_TRACES_SAMPLER: 'always_off' }, { mode: 'tail' }],
    [{ KEELSON_SAMPLING: 'ratio:0.1' }, { mode: 'ratio', amount: 0.1 }],
    [{ KEELSON_SAMPLING: 'rateLimit:5' }, { mode: 'rateLimit', amount: 5 }],
  ])('%o', (environment, sampling) => {
    const found = read(environment as Record<string, string>);
    expect(found.sampling).toMatchObject(sampling);
    expect(found.warnings).toEqual([]);
  });
});

it('propagators have the names of OpenTelemetry', () => {
  expect(read({ OTEL_PROPAGATORS: 'tracecontext, baggage,b3,b3multi,jaeger,b3' }).inject).toEqual([
    'w3c',
    'baggage',
    'b3',
    'b3multi',
    'uber',
  ]);
  expect(read({ OTEL_PROPAGATORS: 'none' }).extract).toEqual([]);
});

it('who the process is', () => {
  const attributes = { OTEL_RESOURCE_ATTRIBUTES: 'service.name=a,service.version=2,team=x%2Cy' };
  expect(read(attributes)).toMatchObject({ service: 'a', version: '2', resource: { team: 'x,y' } });
  expect(read({ ...attributes, OTEL_SERVICE_NAME: 'b' }).service).toBe('b');
});

it('hosts that belong to the network of the process', () => {
  const hosts = '*.Prod.example.com, bücher.example,[2001:DB8::1],203.0.113.7, orders.example.com.';
  expect(read({ KEELSON_INNER_HOSTS: hosts }).innerHosts).toEqual([
    '*.prod.example.com',
    'xn--bcher-kva.example',
    '2001:db8::1',
    '203.0.113.7',
    'orders.example.com',
  ]);
});

it('limits, batches, spool', () => {
  expect(
    read({
      OTEL_ATTRIBUTE_COUNT_LIMIT: '10',
      OTEL_SPAN_EVENT_COUNT_LIMIT: '5',
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '100',
      OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: '50',
      OTEL_BSP_SCHEDULE_DELAY: '200',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '64',
      KEELSON_SPOOL_DIR: '/tmp/x',
      KEELSON_SPOOL_MAX_BYTES: '2000000',
    }),
  ).toMatchObject({
    limits: { maxAttributes: 10, maxEvents: 5, maxAttributeLength: 50 },
    delayMs: 200,
    batchSpans: 64,
    spoolFolder: '/tmp/x',
    spoolBytes: 2_000_000,
    warnings: [],
  });
});

describe('what cannot be understood is told in one line, and the default counts', () => {
  it.each([
    ['OTEL_TRACES_SAMPLER', 'often', { sampling: { mode: 'always' } }],
    ['KEELSON_SAMPLING', 'ratio:2', { sampling: { mode: 'always' } }],
    ['KEELSON_SAMPLING', 'rateLimit:0', { sampling: { mode: 'always' } }],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'carrier-pigeon', { tracesTo: { protocol: 'http/protobuf' } }],
    [
      'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
      'nowhere',
      { tracesTo: { url: 'http://localhost:4318/v1/traces' } },
    ],
    ['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', 'soon', { tracesTo: { timeoutMs: undefined } }],
    ['OTEL_TRACES_EXPORTER', 'zipkin', { traces: 'otlp' }],
    ['OTEL_METRICS_EXPORTER', 'otlp,prometheus', { metrics: 'otlp' }],
    ['OTEL_PROPAGATORS', 'xray,tracecontext', { inject: ['w3c'] }],
    ['OTEL_EXPORTER_PROMETHEUS_PORT', '70000', { prometheus: { port: 9464 } }],
    ['OTEL_SDK_DISABLED', 'yes', { disabled: false }],
    ['OTEL_BSP_SCHEDULE_DELAY', '-1', { delayMs: undefined }],
    ['KEELSON_TRUST', 'some', { trust: 'private' }],
    [
      'KEELSON_INNER_HOSTS',
      'http://a.example,*,a.example:80,*.10.0.0.1,a*.example,a/b,a..b,%41,-,*.Ok.example',
      { innerHosts: ['*.ok.example'] },
    ],
    [
      'KEELSON_DISABLED_HOOKS',
      'telnet,fetch,gopher',
      { hooks: new Set(['http-server', 'http-client', 'http2']) },
    ],
    ['OTEL_PROPAGATORS', 'xray,ottrace', { extract: undefined, inject: undefined }],
    [
      'OTEL_EXPORTER_OTLP_ENDPOINT',
      'collector:4318',
      { tracesTo: { url: 'http://localhost:4318/v1/traces' } },
    ],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a key=1,key=2,other=%0D', { tracesTo: { headers: { key: '2' } } }],
    ['OTEL_BSP_SCHEDULE_DELAY', '0', { delayMs: undefined }],
    ['KEELSON_SPOOL_MAX_BYTES', '1000000', { spoolBytes: undefined }],
    ['KEELSON_SHUTDOWN_TIMEOUT_MS', 'Infinity', { shutdownTimeoutMs: undefined }],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', 'Infinity', { tracesTo: { timeoutMs: undefined } }],
    ['OTEL_TRACES_SAMPLER', 'always_on', { sampling: { mode: 'always' } }],
    ['OTEL_TRACES_SAMPLER', 'traceidratio', { sampling: { mode: 'ratio', amount: 1 } }],
    ['OTEL_METRICS_EXEMPLAR_FILTER', 'always_on', { exemplars: true }],
    ['OTEL_LOG_LEVEL', 'loud', { logLevel: undefined }],
    ['OTEL_RESOURCE_ATTRIBUTES', 'novalue', { resource: {} }],
  ])('%s=%s', (name, value, settings) => {
    const found = read({ [name]: value });
    expect(found).toMatchObject(settings);
    expect(found.warnings).toHaveLength(1);
    expect(found.warnings[0]).toContain(name);
  });
});

it('an escape that is none stands for itself', () => {
  expect(read({ OTEL_EXPORTER_OTLP_HEADERS: 'key=50%' }).tracesTo.headers).toEqual({ key: '50%' });
});

it('metrics: what histograms and exemplars there are, and what is printed', () => {
  expect(
    read({
      OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'base2_exponential_bucket_histogram',
      OTEL_METRICS_EXEMPLAR_FILTER: 'always_off',
      OTEL_LOG_LEVEL: 'WARN',
    }),
  ).toMatchObject({ histogram: 'exponential', exemplars: false, logLevel: DiagLogLevel.WARN, warnings: [] });
});

describe('what is known and not read', () => {
  it.each([
    ['OTEL_BSP_MAX_QUEUE_SIZE', '10'],
    ['OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE', 'delta'],
    ['OTEL_LOGS_EXPORTER', 'otlp'],
    ['OTEL_EXPORTER_JAEGER_ENDPOINT', 'http://j'],
  ])('%s is told in one line', (name, value) => {
    const { warnings } = read({ [name]: value });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(new RegExp(`^${name} is not read: `));
  });

  it('and not where it asks for what is so anyway', () => {
    const { warnings } = read({
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'Cumulative',
      OTEL_LOGS_EXPORTER: 'none',
      OTEL_BSP_EXPORT_TIMEOUT: '',
    });
    expect(warnings).toEqual([]);
  });
});
