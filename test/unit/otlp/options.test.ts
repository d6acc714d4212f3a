import { linkDefaults, metricExporter, signalUrl, spanExporter } from 'keelson/otlp';
import { resource } from 'keelson/tracer';
import { describe, expect, it } from 'vitest';

const urlOf = (given: object, signal: 'traces' | 'metrics' = 'traces') =>
  signalUrl('spanExporter', { ...linkDefaults, ...given }, signal);

describe('where data goes', () => {
  it.each([
    [{}, 'http://localhost:4318/v1/traces'],
    [{ endpoint: 'http://collector:4318' }, 'http://collector:4318/v1/traces'],
    [{ endpoint: 'http://collector:4318/' }, 'http://collector:4318/v1/traces'],
    [{ endpoint: 'https://api.example.com/otlp' }, 'https://api.example.com/otlp/v1/traces'],
    [{ endpoint: 'https://api.example.com/otlp//?key=1' }, 'https://api.example.com/otlp/v1/traces?key=1'],
    [{ endpoint: 'http://[::1]:4318' }, 'http://[::1]:4318/v1/traces'],
    [{ url: 'http://collector/ingest' }, 'http://collector/ingest'],
    [{ url: 'http://collector/ingest', endpoint: 'http://other' }, 'http://collector/ingest'],
    [{ protocol: 'grpc' }, 'http://localhost:4317/'],
    [{ protocol: 'grpc', endpoint: 'grpcs://collector:4317' }, 'grpcs://collector:4317'],
  ])('%j is %s', (given, expected) => {
    expect(urlOf(given)).toBe(expected);
  });

  it('has its own path for metrics', () => {
    expect(urlOf({ endpoint: 'http://c/x/' }, 'metrics')).toBe('http://c/x/v1/metrics');
  });
});

describe('options', () => {
  it.each([
    [{ endpoint: 'collector:4318' }, /spanExporter\.endpoint must be a URL with http: or https:/],
    [{ endpoint: 'ftp://collector' }, /spanExporter\.endpoint must be a URL/],
    [{ endpoint: 5 }, /spanExporter\.endpoint must be a URL/],
    [{ url: 'nonsense' }, /spanExporter\.url must be a URL/],
    [{ protocol: 'http' }, /spanExporter\.protocol must be one of/],
    [{ compression: 'zstd' }, /spanExporter\.compression must be one of/],
    [{ headers: 'a=b' }, /spanExporter\.headers must be an object of headers .*, got string$/],
    [{ headers: ['a'] }, /spanExporter\.headers must be an object .*, got a list or a map$/],
    [
      { headers: new Headers({ a: 'b' }) },
      /spanExporter\.headers must be an object .*, got a list or a map$/,
    ],
    [
      { headers: { 'a b': 'c' } },
      /^spanExporter\.headers\["a b"\] is no header: names of headers are made of/,
    ],
    [{ headers: { '': 'c' } }, /^spanExporter\.headers\[""\] is no header/],
    [{ headers: { key: 'line\nbreak' } }, /^spanExporter\.headers\["key"\] is no header: [^\n]*$/],
    [{ headers: { key: 'schlüssel' } }, /^spanExporter\.headers\["key"\] is no header/],
    [{ headers: { key: undefined } }, /^spanExporter\.headers\["key"\] must be a text, got undefined$/],
    [{ headers: { key: 5 } }, /^spanExporter\.headers\["key"\] must be a text, got number$/],
    [{ timeoutMs: 0 }, /spanExporter\.timeoutMs must be a number > 0, got 0/],
    [{ timeoutMs: Number.NaN }, /spanExporter\.timeoutMs/],
    [{ concurrency: 1.5 }, /spanExporter\.concurrency must be a whole number/],
    [{ batchSpans: 0 }, /spanExporter\.batchSpans/],
    [{ memoryBytes: 1 }, /spanExporter\.memoryBytes must be a number >= 65536/],
    [{ spool: {} }, /spanExporter\.spool\.folder must be the path of a folder/],
    [{ spool: { folder: '/tmp/x', maxBytes: 5 } }, /spanExporter\.spool\.maxBytes/],
    [{ batchBites: 5 }, /batchBites/],
  ])('%j is refused', (given, message) => {
    expect(() => spanExporter(given as object)).toThrow(message);
  });

  it.each([
    [{}, /metricExporter\.resource must be a resource/],
    [{ resource: resource({}), intervalMs: 0 }, /metricExporter\.intervalMs/],
    [{ resource: resource({}), batchSpans: 1 }, /batchSpans/],
  ])('of metrics, %j is refused', (given, message) => {
    const source = { collect: async () => [] };
    expect(() => metricExporter(source, given as never)).toThrow(message);
  });
});
