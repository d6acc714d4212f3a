import { Writable } from 'node:stream';
import { logFields, pinoMixin, span, traceConsole, winstonFormat } from 'keelson/telemetry';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import winston from 'winston';
import { type TracingSdk, tracingSdk } from '../../doubles/tracing-sdk.js';

let sdk: TracingSdk;
beforeEach(() => {
  sdk = tracingSdk();
});
afterEach(async () => {
  await sdk.stop();
});

function sink(): { stream: Writable; lines(): Record<string, unknown>[] } {
  let text = '';
  const stream = new Writable({
    write(chunk, _, done) {
      text += chunk;
      done();
    },
  });
  return {
    stream,
    lines: () =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
  };
}

const fieldsWithin = (run: () => void) =>
  span('work', (made) => {
    run();
    const { traceId, spanId } = made.spanContext();
    return { trace_id: traceId, span_id: spanId, trace_flags: '01' };
  });

describe('log fields', () => {
  it('tell the active span', () => {
    let seen: unknown;
    const expected = fieldsWithin(() => {
      seen = logFields();
    });
    expect(seen).toEqual(expected);
    expect(logFields()).toBeUndefined();
  });

  it('are in the lines of pino', () => {
    const { stream, lines } = sink();
    const log = pino({ mixin: pinoMixin() }, stream);
    const expected = fieldsWithin(() => log.info({ order: 7 }, 'paid'));
    log.info('outside');
    expect(lines()[0]).toMatchObject({ ...expected, order: 7, msg: 'paid' });
    expect(lines()[1]).not.toHaveProperty('trace_id');
  });

  it('leave the user’s own mixin in place', () => {
    const { stream, lines } = sink();
    const log = pino({ mixin: pinoMixin((_merged, level) => ({ from: level, trace_id: 'mine' })) }, stream);
    fieldsWithin(() => log.warn('x'));
    expect(lines()[0]).toMatchObject({ from: 40, trace_id: 'mine', trace_flags: '01' });
  });

  it('are in the lines of winston', () => {
    const { stream, lines } = sink();
    const log = winston.createLogger({
      format: winston.format.combine(winstonFormat(), winston.format.json()),
      transports: [new winston.transports.Stream({ stream })],
    });
    const expected = fieldsWithin(() => log.info('paid', { order: 7 }));
    fieldsWithin(() => log.info('mine', { trace_id: 'mine' }));
    log.info('outside');
    expect(lines()[0]).toEqual({ ...expected, order: 7, message: 'paid', level: 'info' });
    expect(lines()[1]).toMatchObject({ trace_id: 'mine' });
    expect(lines()[2]).not.toHaveProperty('trace_id');
  });

  it('are behind the lines of a console, and no format takes them', () => {
    const target = {
      debug: vi.fn(),
      error: vi.fn(),
      info: vi.fn(),
      log: vi.fn(),
      trace: vi.fn(),
      warn: vi.fn(),
    };
    const { error, log } = target;
    const restore = traceConsole(target);
    const fields = fieldsWithin(() => {
      target.log('%s and %s', 'one');
      target.error(new Error('x'), 7);
      target.log();
    });
    const trace = `trace_id=${fields.trace_id} span_id=${fields.span_id} trace_flags=01`;
    expect(log.mock.calls).toEqual([[`%s and %s ${trace}`, 'one'], [trace]]);
    expect(error.mock.calls).toEqual([[new Error('x'), 7, trace]]);
    target.log('outside');
    expect(log).toHaveBeenLastCalledWith('outside');
    restore();
    expect(target.log).toBe(log);
  });
});
