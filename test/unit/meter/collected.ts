import { DiagLogLevel, diag } from '@opentelemetry/api';
import {
  type MetersOptions,
  type MetricData,
  type MetricSource,
  meters,
  type NumberPoint,
  type SumData,
} from 'keelson/meter';
import { type ManualClock, manualClock } from 'keelson/testing';

/** Meters under a clock that stands, and what was told of them. */
export function standing(options: MetersOptions = {}) {
  const clock: ManualClock = manualClock(1000, 1_700_000_000_000);
  const provider = meters({ clock, ...options });
  return { clock, provider, meter: provider.getMeter('test', '1.2.3') };
}

/** The stream of a name; the test fails when there is none, or several. */
export async function collected<Kind extends MetricData['kind'] = 'sum'>(
  source: MetricSource,
  name: string,
): Promise<Extract<MetricData, { kind: Kind }>> {
  const found = (await source.collect()).filter((data) => data.name === name);
  if (found.length !== 1) throw new Error(`${found.length} streams of the name ${name}`);
  return found[0] as Extract<MetricData, { kind: Kind }>;
}

/** `[attributes, value]` of each series. */
export function values({ points }: { readonly points: readonly NumberPoint[] }) {
  return points.map(({ attributes, value }) => [attributes, value]);
}

/** Losses by reason. */
export async function losses(source: MetricSource): Promise<Record<string, number>> {
  const all = (await source.collect()) as readonly SumData[];
  const lost = all.find(({ name }) => name === 'keelson.telemetry.measurements.lost');
  return Object.fromEntries(
    (lost?.points ?? []).map(({ attributes, value }) => [attributes['reason'], value]),
  );
}

/** Hears what is told through `diag`. */
export function hearDiag(): { readonly heard: string[]; stop(): void } {
  const heard: string[] = [];
  const put = (message: string): void => void heard.push(message);
  diag.setLogger(
    { error: put, warn: put, info: () => {}, debug: () => {}, verbose: () => {} },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  heard.length = 0;
  return { heard, stop: () => diag.disable() };
}
