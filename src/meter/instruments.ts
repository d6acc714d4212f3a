import type { Attributes, Context, Counter, Gauge, Histogram, UpDownCounter } from '@opentelemetry/api';
import type { RecordedStream } from './recorded-stream.js';

/** Counter and up-down counter: what differs is what their streams take. */
export class AddingInstrument implements Counter, UpDownCounter {
  constructor(private readonly stream: RecordedStream) {}

  add(value: number, attributes?: Attributes, within?: Context): void {
    this.stream.record(value, attributes, within);
  }
}

/** Gauge and histogram. */
export class RecordingInstrument implements Gauge, Histogram {
  constructor(private readonly stream: RecordedStream) {}

  record(value: number, attributes?: Attributes, within?: Context): void {
    this.stream.record(value, attributes, within);
  }
}
