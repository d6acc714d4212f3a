import { AsyncResource } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { context, trace } from '@opentelemetry/api';
import { contextStorage, type EndedSpan, tracers } from 'keelson/tracer';
import { afterEach, expect, it } from 'vitest';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

afterEach(() => {
  context.disable();
  trace.disable();
});

it('lets go of what was recorded, though the context is held for ever', async () => {
  const records: WeakRef<EndedSpan>[] = [];
  const accept = (span: EndedSpan) => void records.push(new WeakRef(span));
  const provider = tracers({
    sink: { accept, flush: async () => {}, close: async () => {} },
    sampling: { mode: 'always' },
  });
  context.setGlobalContextManager(contextStorage());
  const tracer = provider.getTracer('t');
  // As a socket of a pool, or a listener that nobody removes, which was made while a request was served.
  const held: AsyncResource[] = [];
  const active: unknown[] = [];
  for (let n = 0; n < 20; n++) {
    tracer.startActiveSpan('request', (span) => {
      held.push(new AsyncResource('pool'));
      active.push(span, context.active());
      span.setAttribute('big', 'x'.repeat(5000));
      span.end();
    });
  }
  const left = () => {
    collect();
    return records.filter((record) => record.deref() !== undefined).length;
  };
  await expect.poll(left).toBe(0);
  expect(records).toHaveLength(20);
  expect(held).toHaveLength(20);
  expect(active).toHaveLength(40);
});

it('lets go of a span that nobody ended, once it was given up', async () => {
  const records: WeakRef<EndedSpan>[] = [];
  const accept = (span: EndedSpan) => void records.push(new WeakRef(span));
  const provider = tracers({
    sink: { accept, flush: async () => {}, close: async () => {} },
    sampling: { mode: 'always' },
    maxOpenSpans: 1,
  });
  const tracer = provider.getTracer('t');
  const kept = Array.from({ length: 10 }, () => tracer.startSpan('forgotten'));
  const left = () => {
    collect();
    return records.filter((record) => record.deref() !== undefined).length;
  };
  await expect.poll(left).toBe(0);
  expect(records).toHaveLength(9);
  expect(kept.filter((span) => span.isRecording())).toHaveLength(1);
});
