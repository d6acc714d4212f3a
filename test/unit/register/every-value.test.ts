import { readFileSync } from 'node:fs';
import { telemetry } from 'keelson/otel';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { readSettings } from '../../../src/register/settings.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { telemetryOf } from '../../../src/register/telemetry-of.js';
import { goodValues, hostileValues } from './variables.js';

type Values = Readonly<Record<string, string>>;

/** Reads variables and builds what they say, as far as that touches nothing. */
async function build(environment: Values): Promise<string[]> {
  const notes: string[] = [];
  const note = (message: string) => void notes.push(message);
  const settings = readSettings(environment, note);
  const options = telemetryOf(settings, { name: 'shop', version: undefined }, note);
  // Nothing is to be waited for.
  const t = telemetry({ ...options, register: false, warn: () => undefined, shutdownTimeoutMs: 0 });
  await t.shutdown();
  return notes;
}

/** Under these others count that else do not. */
const grounds: readonly Values[] = [
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' },
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
  { OTEL_METRICS_EXPORTER: 'prometheus', KEELSON_SPOOL_DIR: '/dev/null/nowhere' },
  {
    OTEL_TRACES_EXPORTER: 'console',
    OTEL_METRICS_EXPORTER: 'console',
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
  },
];

describe('a program starts with', () => {
  it.each(Object.entries(goodValues))('%s as it should be, and nothing is said', async (name, values) => {
    for (const value of values) {
      for (const ground of grounds) {
        const notes = await build({ ...ground, [name]: value });
        expect([value, notes]).toEqual([value, []]);
      }
    }
  });

  it.each(Object.keys(goodValues))('%s as it should not be: at most one line says so', async (name) => {
    for (const value of hostileValues) {
      for (const ground of grounds) {
        const notes = await build({ ...ground, [name]: value });
        expect(notes.length, `${value.slice(0, 40)}: ${notes}`).toBeLessThanOrEqual(1);
        for (const note of notes) {
          expect(note.length).toBeLessThan(600);
          expect(note).not.toContain('secret');
          expect(note).not.toMatch(/[\r\n\u2028]/);
        }
      }
    }
  });
});

describe('the page about the variables', () => {
  const page = readFileSync(new URL('../../../docs/telemetry.md', import.meta.url), 'utf8');
  const section = page.slice(
    page.indexOf('## Variables'),
    page.indexOf('## ', page.indexOf('## Variables') + 3),
  );
  const rows = section.split('\n').filter((row) => row.startsWith('| `'));
  const named = rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name),
  );

  function asked(): Set<string> {
    const names = new Set<string>();
    const variables = {
      OTEL_PROPAGATORS: 'b3',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'c:4317',
    };
    readSettings(
      new Proxy<Values>(variables, {
        get(of, name) {
          names.add(String(name));
          return Reflect.get(of, name) as string | undefined;
        },
      }),
      () => undefined,
    );
    return names;
  }

  it('lists those that are asked for, each once, and no others', () => {
    // One row says it for all and for each signal.
    const perSignal = named.flatMap((name) =>
      rows.some((row) => row.includes(`\`${name}\``) && row.includes('per signal'))
        ? [name, ...['TRACES', 'METRICS'].map((signal) => name?.replace('_OTLP_', `_OTLP_${signal}_`))]
        : [name],
    );
    expect(perSignal.sort()).toEqual([...asked()].sort());
  });

  it('and those that are good values here are those that are read', () => {
    const unread = rows
      .filter((row) => row.split('|')[2]?.includes('not read'))
      .map((row) => row.split('|')[1])
      .join();
    const read = [...asked()].filter((name) => !unread.includes(`\`${name}\``));
    expect(Object.keys(goodValues).sort()).toEqual(read.sort());
  });
});
