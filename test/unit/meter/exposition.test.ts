import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import {
  type ExpositionOptions,
  exposition,
  type HistogramData,
  type HistogramPoint,
  type MetricData,
  type MetricSource,
} from 'keelson/meter';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hearDiag, standing } from './collected.js';

let diag: ReturnType<typeof hearDiag>;
beforeEach(() => {
  diag = hearDiag();
});
afterEach(() => diag.stop());

const openmetrics = 'application/openmetrics-text';
const within = trace.setSpanContext(ROOT_CONTEXT, {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  traceFlags: 1,
});

async function text(source: MetricSource, accept?: string, options?: ExpositionOptions): Promise<string[]> {
  const { body } = await exposition(options).render(await source.collect(), accept);
  return body.split('\n');
}

/** Without scopes. */
const bare = { scopeLabels: false };

describe('text', () => {
  it('of Prometheus is this', async () => {
    const { provider, meter } = standing();
    meter
      .createCounter('http.calls', { description: 'Calls "so far"\n\\', unit: '{call}' })
      .add(2, { route: '/a' });
    meter.createUpDownCounter('inflight').add(-3);
    meter.createGauge('cpu.usage', { unit: '1' }).record(0.25);
    const duration = meter.createHistogram('duration', {
      unit: 's',
      advice: { explicitBucketBoundaries: [0.005, 1] },
    });
    duration.record(0.25, { route: '/a' }, within);
    duration.record(7, { route: '/a' });
    const resource = { 'service.name': 'orders', 'service.instance.id': 'a-1' };
    expect(await text(provider, undefined, { ...bare, resource, created: true })).toEqual([
      '# HELP target_info Target metadata',
      '# TYPE target_info gauge',
      'target_info{service_instance_id="a-1",service_name="orders"} 1',
      '# HELP http_calls_total Calls "so far"\\n\\\\',
      '# TYPE http_calls_total counter',
      'http_calls_total{route="/a"} 2',
      '# TYPE inflight gauge',
      'inflight -3',
      '# TYPE cpu_usage_ratio gauge',
      'cpu_usage_ratio 0.25',
      '# TYPE duration_seconds histogram',
      'duration_seconds_bucket{route="/a",le="0.005"} 0',
      'duration_seconds_bucket{route="/a",le="1"} 1',
      'duration_seconds_bucket{route="/a",le="+Inf"} 2',
      'duration_seconds_sum{route="/a"} 7.25',
      'duration_seconds_count{route="/a"} 2',
      '',
    ]);
  });

  it('of OpenMetrics is this', async () => {
    const { provider, meter, clock } = standing({ views: [{ instrument: 'calls', attributes: ['route'] }] });
    await clock.advance(250);
    meter
      .createCounter('calls', { description: 'Calls "so far"' })
      .add(2, { route: '/a', user: 'x' }, within);
    const duration = meter.createHistogram('duration', {
      unit: 's',
      advice: { explicitBucketBoundaries: [0.005, 1] },
    });
    duration.record(0.25, {}, within);
    duration.record(7);
    const ids = 'trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"';
    expect(await text(provider, openmetrics, { created: true, resource: { a: 'b' } })).toEqual([
      '# HELP target Target metadata',
      '# TYPE target info',
      'target_info{a="b"} 1',
      '# HELP calls Calls \\"so far\\"',
      '# TYPE calls counter',
      `calls_total{route="/a",otel_scope_name="test",otel_scope_version="1.2.3"} 2 # {${ids},user="x"} 2 1700000000.250`,
      'calls_created{route="/a",otel_scope_name="test",otel_scope_version="1.2.3"} 1700000000.250',
      '# TYPE duration_seconds histogram',
      '# UNIT duration_seconds seconds',
      'duration_seconds_bucket{otel_scope_name="test",otel_scope_version="1.2.3",le="0.005"} 0',
      `duration_seconds_bucket{otel_scope_name="test",otel_scope_version="1.2.3",le="1.0"} 1 # {${ids}} 0.25 1700000000.250`,
      'duration_seconds_bucket{otel_scope_name="test",otel_scope_version="1.2.3",le="+Inf"} 2',
      'duration_seconds_sum{otel_scope_name="test",otel_scope_version="1.2.3"} 7.25',
      'duration_seconds_count{otel_scope_name="test",otel_scope_version="1.2.3"} 2',
      'duration_seconds_created{otel_scope_name="test",otel_scope_version="1.2.3"} 1700000000.250',
      '# EOF',
      '',
    ]);
  });

  it('of nothing is nothing', async () => {
    const { provider } = standing();
    expect(await text(provider)).toEqual(['']);
    expect(await text(provider, openmetrics)).toEqual(['# EOF', '']);
  });

  it('of exponential histograms is that of their explicit bounds', async () => {
    const bounds = { views: [{ instrument: '*', bounds: [1, 2] }] };
    const [explicit, exponential] = [standing(bounds), standing({ ...bounds, histogram: 'exponential' })];
    for (const { meter } of [explicit, exponential]) {
      const histogram = meter.createHistogram('h');
      for (const value of [0.5, 1, 1.5, 70]) histogram.record(value, {}, within);
    }
    const lines = await text(exponential.provider, openmetrics);
    expect(lines).toEqual(await text(explicit.provider, openmetrics));
    expect(lines.filter((line) => line.includes(' # {'))).toHaveLength(3);
  });

  it('is the same in slices', async () => {
    const { provider, meter } = standing({ seriesLimit: 5000 });
    const histogram = meter.createHistogram('h');
    for (let id = 0; id < 3000; id++) histogram.record(id, { id });
    const data = await provider.collect();
    const writer = exposition();
    const { contentType, slices } = writer.slices(data, openmetrics);
    const pieces = [...slices];
    expect({ contentType, body: pieces.join('') }).toEqual(await writer.render(data, openmetrics));
    expect(pieces.length).toBeGreaterThan(20);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(50_000);
  });
});

describe('names', () => {
  it.each<[string, string, string]>([
    ['http.server.request.duration', 's', 'http_server_request_duration_seconds'],
    ['a.seconds', 's', 'a_seconds'],
    ['seconds.a', 's', 'seconds_a'],
    ['a', 'ms', 'a_milliseconds'],
    ['a', 'By', 'a_bytes'],
    ['a', 'KiBy', 'a_kibibytes'],
    ['a', '%', 'a_percent'],
    ['a', '1', 'a_ratio'],
    ['a', '{call}', 'a'],
    ['a', '{call}/s', 'a_per_second'],
    ['a', 'By/s', 'a_bytes_per_second'],
    ['a', 'm/h', 'a_meters_per_hour'],
    ['a', 'furlong/fortnight', 'a_furlong_per_fortnight'],
    ['a', 'odd unit!', 'a_odd_unit'],
    ['a', '!!', 'a'],
    ['a//b--c..d', '', 'a_b_c_d'],
    ['a_', 's', 'a_seconds'],
    ['a', '/s', 'a_per_second'],
    ['a', 's/', 'a_seconds'],
  ])('%s in %s is %s', async (name, unit, expected) => {
    const { provider, meter } = standing();
    meter.createGauge(name, { unit }).record(1);
    expect(await text(provider, undefined, bare)).toContain(`${expected} 1`);
  });

  it.each<[string, string, string, string]>([
    ['calls', '', 'calls', 'calls_total'],
    ['calls.total', '', 'calls', 'calls_total'],
    ['calls.total', 's', 'calls_seconds', 'calls_seconds_total'],
    ['a', '1', 'a', 'a_total'],
  ])('of the counter %s in %s are %s and %s', async (name, unit, family, line) => {
    const { provider, meter } = standing();
    meter.createCounter(name, { unit }).add(1);
    expect(await text(provider, openmetrics, bare)).toEqual(
      expect.arrayContaining([`# TYPE ${family} counter`, `${line} 1`]),
    );
    expect(await text(provider, undefined, bare)).toEqual([`# TYPE ${line} counter`, `${line} 1`, '']);
  });
});

describe('labels', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['are escaped', { a: 'x"y\\z\nw' }, 'a="x\\"y\\\\z\\nw"'],
    [
      'have plain names',
      { 'http.route': '/a', '9lives': 1, 'a  b': 2, ä: 3, __name__: 'x' },
      '_9lives="1",_name_="x",a_b="2",http_route="/a",_="3"',
    ],
    ['share a name in the order of their own', { 'a.b': 'x', a_b: 'y', 'a-b': 'z' }, 'a_b="z;x;y"'],
    [
      'give way to those of the format',
      { le: 1, 'otel.scope.name': 'x' },
      'exported_le="1",exported_otel_scope_name="x"',
    ],
    ['are text', { a: 1.5, b: true, c: ['x', 'y'] }, 'a="1.5",b="true",c="[\\"x\\",\\"y\\"]"'],
  ])('%s', async (_, attributes, expected) => {
    const { provider, meter } = standing();
    meter.createGauge('g').record(1, attributes as never);
    expect(await text(provider, undefined, bare)).toContain(`g{${expected}} 1`);
  });

  it('that are the same are one line, in which nothing is lost', async () => {
    const { provider, meter } = standing();
    const other = provider.getMeter('other');
    const [counter, gauge] = [meter.createCounter('c'), meter.createGauge('g')];
    const histograms = [meter, other].map((one) =>
      one.createHistogram('h', { advice: { explicitBucketBoundaries: [1] } }),
    );
    for (const status of [200, '200']) {
      counter.add(2, { status });
      gauge.record(Number(status) * (typeof status === 'string' ? 2 : 1), { status });
    }
    for (const histogram of histograms) histogram.record(2);
    expect((await text(provider, undefined, bare)).filter((line) => !line.startsWith('#'))).toEqual([
      'c_total{status="200"} 4',
      'g{status="200"} 400',
      'h_bucket{le="1"} 0',
      'h_bucket{le="+Inf"} 2',
      'h_sum 4',
      'h_count 2',
      '',
    ]);
  });

  it('show of which meter they are', async () => {
    const { provider } = standing();
    for (const name of ['a', 'b"'])
      provider.getMeter(name, '', { schemaUrl: 'https://s' }).createGauge('g').record(1);
    expect(await text(provider)).toEqual([
      '# TYPE g gauge',
      'g{otel_scope_name="a",otel_scope_schema_url="https://s"} 1',
      'g{otel_scope_name="b\\"",otel_scope_schema_url="https://s"} 1',
      '',
    ]);
  });
});

describe('instruments that contradict each other in text', () => {
  it('are left out but the first, and told of', async () => {
    const { provider, meter } = standing();
    meter.createGauge('a.b').record(1);
    provider.getMeter('other').createCounter('a_b').add(1);
    meter.createHistogram('h').record(1);
    meter.createGauge('h.count').record(1);
    meter.createGauge('target.info').record(1);
    meter.createGauge('late.sum').record(1);
    meter.createHistogram('late').record(1);
    const lines = await text(provider, undefined, bare);
    expect(lines.filter((line) => line.startsWith('# TYPE'))).toEqual([
      '# TYPE a_b gauge',
      '# TYPE h histogram',
      '# TYPE late_sum gauge',
    ]);
    expect(diag.heard.filter((message) => message.includes('left out of the text'))).toHaveLength(4);
  });

  it('by their help only are one family', async () => {
    const { provider } = standing();
    provider.getMeter('a').createGauge('g', { description: 'One.' }).record(1);
    provider.getMeter('b').createGauge('g', { description: 'Two.' }).record(1);
    const lines = await text(provider);
    expect(lines.filter((line) => line.startsWith('#'))).toEqual(['# HELP g One.', '# TYPE g gauge']);
    expect(lines).toHaveLength(5);
  });
});

describe('numbers', () => {
  it.each<[number, string, string]>([
    [0, '0', '0.0'],
    [1, '1', '1.0'],
    [0.005, '0.005', '0.005'],
    [0.0001, '0.0001', '0.0001'],
    [0.00001, '1e-05', '1e-05'],
    [100_000, '100000', '100000.0'],
    [1_000_000, '1e+06', '1e+06'],
    [1_048_576, '1.048576e+06', '1.048576e+06'],
    [-2.5, '-2.5', '-2.5'],
    [1e100, '1e+100', '1e+100'],
  ])('%s as a bound is %s or %s', async (bound, plain, open) => {
    const { provider, meter } = standing({ views: [{ instrument: '*', bounds: [bound] }] });
    meter.createHistogram('h').record(1e300);
    expect(await text(provider, undefined, bare)).toContain(`h_bucket{le="${plain}"} 0`);
    expect(await text(provider, openmetrics, bare)).toContain(`h_bucket{le="${open}"} 0`);
  });
});

describe('exemplars in text', () => {
  it('leave attributes out that do not fit, or that have names of ids', async () => {
    const { provider, meter } = standing({ views: [{ instrument: '*', attributes: [] }] });
    for (const [name, attributes] of [
      ['long', { text: 'x'.repeat(70) }],
      ['short', { text: 'x'.repeat(40) }],
      ['ids', { 'trace.id': 'mine' }],
    ] as const)
      meter.createCounter(name).add(1, attributes, within);
    const lines = await text(provider, openmetrics, bare);
    const ids = 'trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"';
    expect(lines.filter((line) => line.includes('_total')).map((line) => /{(.*)}/.exec(line)?.[1])).toEqual([
      ids,
      `${ids},text="${'x'.repeat(40)}"`,
      ids,
    ]);
  });
});

describe('points of other makers', () => {
  const times = { startMs: 1000, atMs: 2000, exemplars: [] };
  const histogram = (point: Partial<HistogramPoint>): HistogramData => ({
    scope: { name: 'm', version: '', schemaUrl: '' },
    name: 'h',
    description: '',
    unit: '',
    kind: 'histogram',
    points: [
      { attributes: {}, ...times, count: 2, sum: 3, min: 1, max: 2, bounds: [1], counts: [1, 1], ...point },
    ],
  });
  const lines = async (...data: MetricData[]): Promise<string[]> => {
    const { body } = await exposition(bare).render(data, openmetrics);
    return body.split('\n').filter((line) => line.startsWith('h'));
  };

  it('have no sum where there are values below zero', async () => {
    expect(await lines(histogram({ min: -1 }))).toEqual([
      'h_bucket{le="1.0"} 1',
      'h_bucket{le="+Inf"} 2',
      'h_count 2',
    ]);
  });

  it('that are one in text, with other bounds, are the first', async () => {
    expect(await lines(histogram({}), histogram({ bounds: [5] }))).toEqual(await lines(histogram({})));
  });

  it('show the largest exemplar of each bucket', async () => {
    const ids = { traceId: 't', spanId: 's', atMs: 0, attributes: {} };
    const exemplars = [3, 0.5, 7, 5].map((value) => ({ ...ids, value }));
    const shown = (await lines(histogram({ exemplars }))).filter((line) => line.includes('#'));
    expect(shown).toEqual([
      'h_bucket{le="1.0"} 1 # {trace_id="t",span_id="s"} 0.5 0.000',
      'h_bucket{le="+Inf"} 2 # {trace_id="t",span_id="s"} 7 0.000',
    ]);
  });
});

describe('options', () => {
  it.each([{ scope: true }, { created: 'yes' }, 7])(
    'that cannot be understood are refused: %s',
    (options) => {
      expect(() => exposition(options as never)).toThrow(TypeError);
    },
  );
});

describe('what a client accepts', () => {
  const plain = 'text/plain; version=0.0.4; charset=utf-8';
  const open = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
  it.each<[string, string | undefined, string]>([
    ['nothing', undefined, plain],
    ['nothing', '', plain],
    ['anything', '*/*', plain],
    ['a browser', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', plain],
    [
      'Prometheus 2',
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      open,
    ],
    [
      'Prometheus 3',
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
      open,
    ],
    [
      'Prometheus with native histograms',
      'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.7',
      open,
    ],
    ['both, text more', 'text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.8', plain],
    ['both alike', 'text/plain, application/openmetrics-text', open],
    ['OpenMetrics, but not', 'application/openmetrics-text;q=0, text/plain', plain],
    ['OpenMetrics, but not at all', 'application/openmetrics-text;q=0', plain],
    ['an old OpenMetrics only', 'application/openmetrics-text;version=0.0.1', plain],
    ['letters of any case', 'Application/OpenMetrics-Text; Version="1.0.0"; Q=1', open],
    ['OpenMetrics, anything more', '*/*, application/openmetrics-text;q=0.1', plain],
    ['a quality that is none', 'application/openmetrics-text;q=lots', open],
    ['too much', `application/openmetrics-text,${'a/b,'.repeat(5000)}`, plain],
    ['nonsense', ';;,,=;q=;', plain],
  ])('%s: %s', async (_, accept, expected) => {
    expect((await exposition().render([], accept)).contentType).toBe(expected);
  });
});
