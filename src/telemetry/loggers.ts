import { logFields } from './log-fields.js';

const nothing: object = {};

/**
 * Puts trace and span into every line of a pino logger. What the user's own mixin says goes before it.
 *
 * @param own - the mixin that there would be without this one
 * @example
 * ```ts
 * const log = pino({ mixin: pinoMixin() });
 * ```
 */
export function pinoMixin<Args extends readonly unknown[]>(
  own?: (...args: Args) => object,
): (...args: Args) => object {
  return (...args) => {
    const fields = logFields();
    if (own === undefined) return fields ?? nothing;
    return { ...fields, ...own(...args) };
  };
}

/** What winston takes as a format. */
export interface WinstonFormat {
  /** Adds the fields to a line; those that are there already stay. */
  transform<Info extends object>(info: Info, options?: unknown): Info;
}

/**
 * Puts trace and span into every line of a winston logger. Goes before the format that writes.
 *
 * @example
 * ```ts
 * const log = createLogger({ format: format.combine(winstonFormat(), format.json()) });
 * ```
 */
export function winstonFormat(): WinstonFormat {
  return {
    transform: (info) => {
      const fields = logFields();
      if (fields === undefined) return info;
      const line = info as Record<string, unknown>;
      // Winston keeps level and message under symbols of the same object, so no copy will do.
      for (const [name, value] of Object.entries(fields)) line[name] ??= value;
      return info;
    },
  };
}

/** The methods of a console that write a line. */
export type ConsoleLike = Record<
  'debug' | 'error' | 'info' | 'log' | 'trace' | 'warn',
  (...args: unknown[]) => void
>;

const methods: readonly (keyof ConsoleLike)[] = ['debug', 'error', 'info', 'log', 'trace', 'warn'];

/** A first argument that is a text may be a format, which would take what stands behind it for its own. */
function withTrace(args: readonly unknown[]): readonly unknown[] {
  const fields = logFields();
  if (fields === undefined) return args;
  const trace = `trace_id=${fields.trace_id} span_id=${fields.span_id} trace_flags=${fields.trace_flags}`;
  const [first, ...rest] = args;
  return typeof first === 'string' ? [`${first} ${trace}`, ...rest] : [...args, trace];
}

/**
 * Puts trace and span behind what every line of a console says.
 *
 * For services whose log is their console. Not for consoles of which something else reads the lines as JSON.
 *
 * @param target - the console, mostly `console`
 * @returns what takes it back
 * @example
 * ```ts
 * traceConsole(console);
 * ```
 */
export function traceConsole(target: ConsoleLike): () => void {
  const before = new Map<keyof ConsoleLike, ConsoleLike['log']>();
  for (const method of methods) {
    const write = target[method];
    if (typeof write !== 'function') continue;
    before.set(method, write);
    target[method] = (...args) => write.apply(target, withTrace(args) as unknown[]);
  }
  return () => {
    for (const [method, write] of before) target[method] = write;
  };
}
