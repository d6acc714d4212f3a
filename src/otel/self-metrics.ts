import type { MeterProvider, ObservableResult } from '@opentelemetry/api';
import type { SpanPipeline } from './span-pipeline.js';

/**
 * Shows what becomes of the spans of this process: those that were lost, by reason, before all.
 *
 * `keelson.telemetry.spans.lost{reason}`, `.recorded`, `.sent`, `.discarded`, and of memory and disk
 * `keelson.telemetry.queue.bytes`, `keelson.telemetry.spool.bytes`.
 */
export function selfMetrics(provider: MeterProvider, { tracers, losses, sending }: SpanPipeline): void {
  const meter = provider.getMeter('keelson');
  const counter = (name: string, description: string, read: () => number | undefined): void => {
    meter
      .createObservableCounter(`keelson.telemetry.${name}`, { description, unit: '{span}' })
      .addCallback((result: ObservableResult) => {
        const value = read();
        if (value !== undefined) result.observe(value);
      });
  };
  const bytes = (name: string, description: string, read: () => number | undefined): void => {
    meter
      .createObservableGauge(`keelson.telemetry.${name}`, { description, unit: 'By' })
      .addCallback((result: ObservableResult) => {
        const value = read();
        if (value !== undefined) result.observe(value);
      });
  };
  meter
    .createObservableCounter('keelson.telemetry.spans.lost', {
      description: 'Spans that were to be sent and never arrived, by reason.',
      unit: '{span}',
    })
    .addCallback((result: ObservableResult) => {
      for (const [reason, count] of Object.entries(losses())) result.observe(count, { reason });
    });
  counter('spans.recorded', 'Spans that were recorded.', () => tracers.counts.recorded);
  counter('spans.discarded', 'Spans of traces that were not kept.', () => tracers.counts.discarded);
  counter('spans.unended', 'Spans that nobody ended in time.', () => tracers.counts.unended);
  counter('spans.compressed', 'Spans that became part of another.', () => tracers.counts.compressed);
  counter('spans.sent', 'Spans that a collector has taken.', () => sending()?.sentSpans);
  bytes('queue.bytes', 'Memory that waiting spans take.', () => sending()?.queuedBytes);
  bytes('spool.bytes', 'Disk that waiting spans take.', () => sending()?.spool?.bytes);
}
