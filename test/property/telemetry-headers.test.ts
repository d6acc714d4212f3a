import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import fc from 'fast-check';
import { carrier, compose, createCall, trustedPeer } from 'keelson/core';
import {
  accessLog,
  type HttpServerExchange,
  httpServerSemantics,
  propagator,
  resume,
  spanToken,
  traceOf,
} from 'keelson/telemetry';
import { describe, expect, it } from 'vitest';

const digit = fc.constantFrom(...'0123456789abcdef');
const hex = (length: number) =>
  fc.string({ unit: digit, minLength: length, maxLength: length }).filter((id) => !/^0+$/.test(id));
const spans = fc.record({ traceId: hex(32), spanId: hex(16), traceFlags: fc.constantFrom(0, 1) });
const record = {
  keys: (from: Record<string, string>) => Object.keys(from),
  get: (from: Record<string, string>, name: string) => from[name],
  set: (into: Record<string, string>, name: string, value: string) => {
    into[name] = value;
  },
};

describe('every format', () => {
  it.each(['w3c', 'b3', 'b3multi', 'uber'] as const)('reads what it writes: %s', (format) => {
    const both = propagator({ extract: [format], inject: [format] });
    fc.assert(
      fc.property(spans, (span) => {
        const headers = {};
        both.inject(trace.setSpanContext(ROOT_CONTEXT, span), headers, record);
        const read = trace.getSpanContext(both.extract(ROOT_CONTEXT, headers, record));
        expect(read).toEqual({ ...span, isRemote: true });
      }),
    );
  });

  it('makes a valid trace or none of whatever comes', () => {
    const names = [
      'traceparent',
      'tracestate',
      'b3',
      'x-b3-traceid',
      'x-b3-spanid',
      'x-b3-sampled',
      'uber-trace-id',
      'grpc-trace-bin',
    ];
    const nearly = fc.oneof(
      fc.string({ maxLength: 80 }),
      fc.string({ unit: fc.constantFrom(...'01adD:%, -'), maxLength: 80 }),
      fc.tuple(hex(32), hex(16), fc.constantFrom('0', '1', 'd', 'x', '')).map((parts) => parts.join('-')),
    );
    const headers = fc.record(Object.fromEntries(names.map((name) => [name, nearly])), { requiredKeys: [] });
    fc.assert(
      fc.property(headers, (given) => {
        const call = createCall({
          side: 'server',
          service: 's',
          operation: 'GET',
          headers: carrier(given as Record<string, string>),
        });
        const ids = traceOf(call);
        if (ids === undefined) return;
        expect(ids.traceId).toMatch(/^(?!0{32})[\da-f]{32}$/);
        expect(ids.spanId).toMatch(/^(?!0{16})[\da-f]{16}$/);
        expect(ids.flags).toMatch(/^0[0-3]$/);
      }),
    );
  });
});

describe('a token', () => {
  it('of whatever kind runs the work, and what was made of it is the same', () => {
    const parts = fc.oneof(
      fc.string(),
      fc.anything(),
      hex(32).map((id) => `00-${id}-00f067aa0ba902b7-01`),
    );
    const tokens = fc.oneof(
      fc.anything(),
      fc.record({ traceparent: parts, tracestate: parts, baggage: parts }),
    );
    fc.assert(
      fc.property(tokens, (token) => {
        const inside = resume(token as never, () => spanToken());
        expect(JSON.parse(JSON.stringify(inside ?? null))).toEqual(inside ?? null);
        if (inside !== undefined) expect(resume(inside, () => spanToken())).toEqual(inside);
      }),
    );
  });
});

describe('a line of an access log', () => {
  it.each(['json', 'text'] as const)('is one line whatever is in it: %s', async (format) => {
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (url, agent, operation, extra) => {
        const lines: string[] = [];
        const log = accessLog({
          format,
          query: true,
          to: (line) => lines.push(line),
          fields: () => ({ extra }),
        });
        const exchange: HttpServerExchange = {
          req: { method: 'GET', url, httpVersion: '1.1', headers: { 'user-agent': agent } },
          res: { statusCode: 200 },
        };
        const call = createCall({ side: 'server', service: 's', operation });
        call.values.set(trustedPeer, true);
        await compose<HttpServerExchange, HttpServerExchange>(
          [log.middleware({ semantics: httpServerSemantics })],
          (it) => Promise.resolve(it),
        )(exchange, call);
        log.close();
        expect(lines).toHaveLength(1);
        const [line] = lines as [string];
        for (const character of line) {
          const code = character.codePointAt(0) as number;
          expect(code >= 0x20 && !(code >= 0x7f && code < 0xa0) && code !== 0x2028 && code !== 0x2029).toBe(
            true,
          );
        }
        // Half of a pair of surrogates has no place in a text, and is told as such.
        if (format === 'json')
          expect(JSON.parse(line)).toMatchObject({ path: url, user_agent: agent, operation, extra });
      }),
      { numRuns: 50 },
    );
  });
});
