import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import {
  decodeOrca,
  encodeOrca,
  formatOrca,
  httpProtocol,
  loadOfOrca,
  type OrcaReport,
  orcaOf,
  parseOrca,
} from 'keelson/http';
import { describe, expect, it } from 'vitest';
import { orcaLoadReport } from '../../doubles/orca-report.js';

const full = {
  cpu_utilization: 0.3,
  mem_utilization: 0.8,
  utilization: { disk: 0.25, größe: 0.5 },
  rps_fractional: 10.5,
  eps: 1,
  named_metrics: { 'keelson.backlog_ms': 3.2, queue: -4 },
  application_utilization: 1.7,
} satisfies OrcaReport;

const short: Record<string, string> = {
  cpuUtilization: 'cpu_utilization',
  memUtilization: 'mem_utilization',
  rpsFractional: 'rps_fractional',
  namedMetrics: 'named_metrics',
  applicationUtilization: 'application_utilization',
};

/** What another implementation reads, without what is the default. */
function readByOthers(bytes: Uint8Array): Record<string, unknown> {
  const { $typeName: _, ...fields } = fromBinary(orcaLoadReport, bytes) as unknown as Record<string, unknown>;
  const told = Object.entries(fields).filter(
    ([, value]) =>
      !(value === 0 || value === 0n || Object.keys(Object(value)).length === 0) ||
      (typeof value === 'number' && value !== 0),
  );
  return Object.fromEntries(told.map(([name, value]) => [short[name] ?? name, value]));
}

describe('the message', () => {
  it('is read by others as it was meant', () => {
    expect(readByOthers(encodeOrca(full))).toEqual(full);
    expect(encodeOrca({})).toHaveLength(0);
    expect(readByOthers(encodeOrca({ cpu_utilization: 0, named_metrics: { none: 0 } }))).toEqual({
      named_metrics: { none: 0 },
    });
  });

  it('of others is read, with what nobody here knows passed over', () => {
    const bytes = toBinary(
      orcaLoadReport,
      create(orcaLoadReport, {
        cpuUtilization: 0.3,
        memUtilization: 0.8,
        utilization: { disk: 0.25, größe: 0.5 },
        rps: 7n,
        requestCost: { storage: 3487 },
        rpsFractional: 10.5,
        eps: 1,
        namedMetrics: { 'keelson.backlog_ms': 3.2, queue: -4 },
        applicationUtilization: 1.7,
      } as never),
    );
    expect(decodeOrca(Buffer.from(bytes))).toEqual(full);
  });

  it('of old tells whole calls per second', () => {
    const bytes = toBinary(orcaLoadReport, create(orcaLoadReport, { rps: 300n } as never));
    expect(decodeOrca(Buffer.from(bytes))).toEqual({ rps_fractional: 300 });
  });

  it('of two of one field has the later', () => {
    const twice = Buffer.concat([
      encodeOrca({ eps: 1 }),
      encodeOrca({ eps: 2, named_metrics: { a: 1 } }),
      encodeOrca({ named_metrics: { a: 2, b: 3 } }),
    ]);
    expect(decodeOrca(twice)).toEqual({ eps: 2, named_metrics: { a: 2, b: 3 } });
  });

  it.each([
    ['breaks off', [0x09, 1, 2, 3]],
    ['has a length beyond its end', [0x42, 0x7f, 1]],
    ['has a length without end', [0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['has a group', [0x0b]],
    ['has an entry that breaks off', [0x42, 0x02, 0x0a, 0x05]],
    ['has an entry with a number that breaks off', [0x42, 0x03, 0x11, 0, 0]],
  ])('that %s is none', (_, bytes) => {
    expect(decodeOrca(Buffer.from(bytes))).toBeUndefined();
  });

  it('has bounds', () => {
    expect(decodeOrca(Buffer.alloc(8193))).toBeUndefined();
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`m${i}`, i]));
    expect(Object.keys(decodeOrca(encodeOrca({ named_metrics: many }))?.named_metrics ?? {})).toHaveLength(
      64,
    );
    expect(encodeOrca({ named_metrics: { ['x'.repeat(129)]: 1 } })).toHaveLength(0);
    const long = toBinary(
      orcaLoadReport,
      create(orcaLoadReport, { namedMetrics: { ['x'.repeat(129)]: 1, a: Number.NaN, b: 2 } } as never),
    );
    expect(decodeOrca(Buffer.from(long))).toEqual({ named_metrics: { b: 2 } });
    const infinite = toBinary(
      orcaLoadReport,
      create(orcaLoadReport, { eps: Number.POSITIVE_INFINITY } as never),
    );
    expect(decodeOrca(Buffer.from(infinite))).toEqual({});
  });

  it('may be any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodeOrca(Buffer.from(bytes));
      }),
    );
  });

  it('may be any message with any bit turned', () => {
    const good = encodeOrca(full);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
        const bad = Buffer.from(good);
        bad[at] = (bad[at] as number) ^ bits;
        loadOfOrca(decodeOrca(bad));
      }),
    );
  });

  it('is what others make of the same report, whatever that is', () => {
    const value = fc.double({ noNaN: true, noDefaultInfinity: true });
    const name = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme-ascii' });
    const metrics = fc.dictionary(name, value, { maxKeys: 5, minKeys: 1, noNullPrototype: true });
    const report = fc.record(
      {
        cpu_utilization: value,
        eps: value,
        rps_fractional: value,
        named_metrics: metrics,
        utilization: metrics,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(report, (given) => {
        const bytes = encodeOrca(given);
        const told = Object.fromEntries(Object.entries(given).filter(([, number]) => number !== 0));
        expect(decodeOrca(bytes)).toEqual(told);
        expect(readByOthers(bytes)).toEqual(told);
      }),
    );
  });
});

describe('headers', () => {
  const published: readonly [string, OrcaReport][] = [
    [
      'TEXT cpu_utilization=0.3, mem_utilization=0.8, rps_fractional=10.0, eps=1, named_metrics.custom_metric_util=0.4',
      {
        cpu_utilization: 0.3,
        mem_utilization: 0.8,
        rps_fractional: 10,
        eps: 1,
        named_metrics: { custom_metric_util: 0.4 },
      },
    ],
    [
      'JSON {"cpu_utilization": 0.3, "mem_utilization": 0.8, "rps_fractional": 10.0, "eps": 1, "named_metrics": {"custom-metric-util": 0.4}}',
      {
        cpu_utilization: 0.3,
        mem_utilization: 0.8,
        rps_fractional: 10,
        eps: 1,
        named_metrics: { 'custom-metric-util': 0.4 },
      },
    ],
    [
      'BIN CZqZmZmZmbk/MQAAAAAAAABAQg4KA2ZvbxGamZmZmZm5P0IOCgNiYXIRmpmZmZmZyT8=',
      { cpu_utilization: 0.1, rps_fractional: 2, named_metrics: { foo: 0.1, bar: 0.2 } },
    ],
  ];

  it.each(published)('as published: %s', (text, report) => {
    expect(parseOrca(text)).toEqual(report);
  });

  it.each([
    [
      'cpu_utilization:0.7,application_utilization:1.5',
      { cpu_utilization: 0.7, application_utilization: 1.5 },
    ],
    [
      'JSON {"cpuUtilization":0.5,"namedMetrics":{"a":1,"b":"x","c":null},"nested":{"x":1}}',
      { cpu_utilization: 0.5, named_metrics: { a: 1 } },
    ],
    ['TEXT cpu_utilization=, eps=x, mem_utilization=Infinity, =3, rps_fractional=2', { rps_fractional: 2 }],
    ['TEXT named_metrics.__proto__=1, named_metrics.=2, other.x=3', { named_metrics: { ['__proto__']: 1 } }],
    ['TEXT ', {}],
    ['JSON nonsense', undefined],
    ['JSON null', undefined],
    ['JSON 3', undefined],
    ['BIN \u00e9', {}],
    ['x'.repeat(8193), undefined],
  ])('%#', (text, report) => {
    const read = parseOrca(text);
    if (report === undefined) expect(read).toBeUndefined();
    else expect(JSON.parse(JSON.stringify(read))).toEqual(JSON.parse(JSON.stringify(report)));
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it.each(['text', 'json', 'bin'] as const)('reads what it wrote: %s', (format) => {
    const { ascii, ...report } = { ...full, ascii: 0, utilization: { disk: 0.25 } };
    expect(ascii).toBe(0);
    expect(parseOrca(formatOrca(report, format))).toEqual(report);
  });

  it('may be any text', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string().map((rest) => `TEXT ${rest}`),
      fc.json().map((rest) => `JSON ${rest}`),
      fc.base64String().map((rest) => `BIN ${rest}`),
    );
    fc.assert(
      fc.property(text, (given) => {
        for (const value of Object.values(loadOfOrca(parseOrca(given)) ?? {})) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(10_000_000);
        }
      }),
    );
  });
});

describe('a load', () => {
  const load = {
    cpuRatio: 0.9,
    inflight: 17,
    backlogMs: 3.2,
    serviceMs: 2.9,
    perSecond: 310,
    errorsPerSecond: 0.5,
  };

  it('comes back as it was', () => {
    expect(loadOfOrca(orcaOf(load))).toEqual(load);
    expect(loadOfOrca(decodeOrca(encodeOrca(orcaOf(load))))).toEqual(load);
  });

  it('of a server that refuses half tells balancers by utilization how much is asked of it', () => {
    const report = orcaOf({ ...load, admitRatio: 0.5 });
    expect(report).toMatchObject({ cpu_utilization: 0.9, application_utilization: 1.8 });
    expect(loadOfOrca(report)).toEqual({ ...load, cpuRatio: 1, admitRatio: 0.5 });
    expect(orcaOf({ admitRatio: 0 })).toEqual({
      application_utilization: 100,
      named_metrics: { 'keelson.admit_ratio': 0 },
    });
  });

  it('of a server of others is what it says of itself first, else its CPU', () => {
    expect(loadOfOrca({ cpu_utilization: 0.2, application_utilization: 0.6 })).toEqual({ cpuRatio: 0.6 });
    expect(loadOfOrca({ cpu_utilization: 0.2 })).toEqual({ cpuRatio: 0.2 });
    expect(loadOfOrca({ cpu_utilization: -1, named_metrics: { other: 5 } })).toBeUndefined();
    expect(loadOfOrca({})).toBeUndefined();
    expect(loadOfOrca(undefined)).toBeUndefined();
  });
});

describe('a client of HTTP', () => {
  const feedback = (headers: Record<string, string>) =>
    httpProtocol.feedback?.(new Response(null, { headers }));

  it.each([
    [{ 'endpoint-load-metrics': 'TEXT cpu_utilization=0.3' }, { cpuRatio: 0.3 }],
    [{ 'endpoint-load-metrics-bin': encodeOrca({ eps: 2 }).toString('base64') }, { errorsPerSecond: 2 }],
    [{ 'endpoint-load-metrics': 'TEXT cpu_utilization=0.3', 'x-keelson-load': 'cpu=0.4' }, { cpuRatio: 0.4 }],
    [
      { 'endpoint-load-metrics': 'TEXT cpu_utilization=0.3', 'x-keelson-load': 'nonsense' },
      { cpuRatio: 0.3 },
    ],
  ])('%j', (headers, load) => {
    expect(feedback(headers)).toEqual({ load });
  });

  it('takes nonsense for nothing', () => {
    expect(
      feedback({ 'endpoint-load-metrics': 'nonsense', 'endpoint-load-metrics-bin': 'AAAA' }),
    ).toBeUndefined();
  });
});
