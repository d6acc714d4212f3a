import { resolveOptions } from '../core/options.js';
import { type DescriptionLimits, describe, type Finding, invalidArgument } from './invalid.js';
import { checkSchema, judge, type StandardSchema, type Verdict } from './standard-schema.js';

/** Options of {@link validated}. */
export interface ValidatedOptions {
  /**
   * Most problems that are named to whoever sent the value; a whole number, 1 or more. A larger value helps people, and
   * makes answers to hostile values longer.
   *
   * @defaultValue `8`
   */
  readonly maxIssues?: number | undefined;
  /**
   * Most characters of one problem; a whole number, 10 or more. The rest is cut off.
   *
   * @defaultValue `200`
   */
  readonly maxLength?: number | undefined;
}

/** Defaults of {@link ValidatedOptions}. */
export const validatedDefaults = { maxIssues: 8, maxLength: 200 } as const;

/** Ranges of the options. */
export const descriptionBounds = {
  maxIssues: { min: 1, integer: true },
  maxLength: { min: 10, integer: true },
} as const;

const inHandler: Finding = { side: 'server', subject: 'invalid value', service: undefined };

function outputOf<Output>(verdict: Verdict<Output>, limits: DescriptionLimits): Output {
  if (verdict.issues === undefined) return verdict.value;
  throw invalidArgument(describe(verdict.issues, limits), verdict.issues, inHandler);
}

function limitsOf(options: ValidatedOptions | undefined): DescriptionLimits {
  // Nearly every call has none.
  if (options === undefined) return validatedDefaults;
  return resolveOptions<DescriptionLimits>('validated', validatedDefaults, options, descriptionBounds);
}

/**
 * The value in the output form of its schema, or the refusal that servers answer with 400 (gRPC 3) and the list of
 * problems.
 *
 * Use it inside a handler of any framework, on what that has parsed: `req.body`, `request.query`, a gRPC message. Express
 * itself shows problems in development only: in production send `error.answer.text` from an error handler. What a service sends to others is validated with {@link validate}, whose refusals do not read as the fault of this service's own
 * caller.
 *
 * @param schema - of zod, valibot, arktype or any other library that follows Standard Schema
 * @param value - anything
 * @throws (as a rejection) GovernanceError `INVALID_ARGUMENT` with the issues as `cause`; what the schema throws
 * @example
 * ```ts
 * const user = await validated(z.object({ name: z.string() }), req.body);
 * ```
 */
export async function validated<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
  options?: ValidatedOptions,
): Promise<Output> {
  checkSchema('validated: schema', schema);
  const limits = limitsOf(options);
  return outputOf(await judge(schema, value), limits);
}

/**
 * {@link validated} for schemas that answer at once.
 *
 * @throws GovernanceError `INVALID_ARGUMENT`; TypeError for a schema that answers with a promise
 */
export function validatedSync<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
  options?: ValidatedOptions,
): Output {
  checkSchema('validatedSync: schema', schema);
  const limits = limitsOf(options);
  const verdict = judge(schema, value);
  if (!(verdict instanceof Promise)) return outputOf(verdict, limits);
  verdict.catch(() => undefined);
  throw new TypeError('validatedSync: this schema answers with a promise; use validated');
}
