import type { Call } from '../core/call.js';
import { currentCall } from '../core/current.js';
import { isGovernanceError, refusal } from '../core/errors.js';
import type { Middleware } from '../core/handler.js';
import { resolveOptions } from '../core/options.js';
import { callKey } from '../core/values.js';
import { type DescriptionLimits, describe, invalidArgument } from './invalid.js';
import { checkSchema, judge, type StandardSchema } from './standard-schema.js';
import { descriptionBounds, type ValidatedOptions, validatedDefaults } from './validated.js';

/** Options of {@link validate}. */
export interface ValidateOptions<Req, Res> extends ValidatedOptions {
  /**
   * Finds in a request what is validated: a query, a header, a message inside. May return a promise. What it throws counts
   * as an invalid request, for it reads what a peer wrote. With it the request goes on as it is; `validOf` has the output.
   *
   * @defaultValue the request itself, which then goes on in the output form of the schema
   */
  readonly value?: ((request: Req, call: Call) => unknown) | undefined;
  /**
   * What responses have to be like, for instance those of a callee that changed without notice. They are given on as they
   * are.
   *
   * @defaultValue `undefined`, that is anything
   */
  readonly response?: StandardSchema<unknown, unknown> | undefined;
  /**
   * Finds in a response what is validated. May return a promise. What it throws counts as an invalid response. No effect
   * without `response`.
   *
   * @defaultValue the response itself
   */
  readonly responseValue?: ((response: Res, call: Call) => unknown) | undefined;
}

/** Defaults of {@link ValidateOptions}. */
export const validateDefaults = {
  ...validatedDefaults,
  value: undefined,
  response: undefined,
  responseValue: undefined,
} as const;

type Settings<Req, Res> = {
  readonly [Field in keyof ValidateOptions<Req, Res>]-?: ValidateOptions<Req, Res>[Field];
} & DescriptionLimits;

type AnySchema = StandardSchema<unknown, unknown>;

const outputs = callKey<Map<AnySchema, unknown>>('keelson.validated');

/**
 * The output of a schema by which {@link validate} validated this call: defaults filled in, texts made numbers.
 *
 * @param schema - the very one that was given to `validate`
 * @param call - the current inbound call if left out
 * @returns `undefined` when that schema was not applied to this call
 */
export function validOf<Output>(
  schema: StandardSchema<unknown, Output>,
  call: Call | undefined = currentCall(),
): Output | undefined {
  return call?.values.get(outputs)?.get(schema) as Output | undefined;
}

function keep(schema: AnySchema, call: Call, output: unknown): void {
  let kept = call.values.get(outputs);
  if (kept === undefined) {
    kept = new Map();
    call.values.set(outputs, kept);
  }
  kept.set(schema, output);
}

/** What a reader throws is the fault of what it reads; a refusal on the way says itself whose fault it is. */
async function read<T>(value: () => T | PromiseLike<T>, refuse: (cause: unknown) => Error): Promise<T> {
  try {
    return await value();
  } catch (cause) {
    throw isGovernanceError(cause) ? cause : refuse(cause);
  }
}

class Validation<Req, Res> {
  constructor(
    private readonly schema: AnySchema | undefined,
    private readonly settings: Settings<Req, Res>,
  ) {}

  /** The request to go on with. */
  async admit(request: Req, call: Call): Promise<Req> {
    const { schema, settings } = this;
    const { value } = settings;
    if (schema === undefined) return request;
    const given =
      value &&
      (await read(
        () => value(request, call),
        (cause) => refused(call, 'it cannot be read', cause),
      ));
    const verdict = await judge(schema, value === undefined ? request : given);
    if (verdict.issues !== undefined) throw refused(call, describe(verdict.issues, settings), verdict.issues);
    keep(schema, call, verdict.value);
    return value === undefined ? (verdict.value as Req) : request;
  }

  /** @throws unless the response is as it has to be */
  async check(schema: AnySchema, response: Res, call: Call): Promise<void> {
    const { settings } = this;
    const { responseValue } = settings;
    const given =
      responseValue &&
      (await read(
        () => responseValue(response, call),
        (cause) => broken(call, 'it cannot be read', cause),
      ));
    const verdict = await judge(schema, responseValue === undefined ? response : given);
    if (verdict.issues !== undefined) throw broken(call, describe(verdict.issues, settings), verdict.issues);
  }
}

function refused({ side, service, operation }: Call, text: string, cause: unknown): Error {
  return invalidArgument(text, cause, { side, service, subject: `${operation}: invalid request` });
}

/** On a client the callee's fault; on a server this program's own, and no refusal. */
function broken({ side, service, operation }: Call, text: string, cause: unknown): Error {
  const message = `${operation}: invalid response: ${text.replaceAll('\n', '; ')}`;
  return side === 'server'
    ? new Error(message, { cause })
    : refusal('INVALID_RESPONSE', message, { cause, side, service });
}

/**
 * Validates requests by a schema before they go on: on a server those that came in, on a client those to be sent. On
 * request responses too.
 *
 * Use it where the wire carries messages (gRPC, Connect, the data of axios), or with `value` for what can be read of an
 * HTTP request without its body: query, headers, parameters. For parsed bodies use {@link validated} in the handler: a body
 * that is read here is gone there, unless `validOf` gives it back.
 *
 * A server answers an invalid request with 400 (gRPC 3) and the list of problems; its limits count it and learn nothing
 * from it. On a client nothing is sent, and no breaker hears of it; a server that does not catch the refusal of its own
 * request answers 500. An invalid response is a failure of the callee if this runs per attempt, and is never tried again.
 *
 * @param schema - of zod, valibot, arktype or any other library that follows Standard Schema; `undefined` if only responses
 * are validated
 * @throws TypeError or RangeError for options that cannot work. Calls are rejected with GovernanceError `INVALID_ARGUMENT`
 * or `INVALID_RESPONSE`, the issues as `cause`, or with what the schema throws
 * @example
 * ```ts
 * const query = z.object({ page: z.coerce.number().int() });
 * const value = ({ req }: HttpExchange) => Object.fromEntries(new URL(req.url ?? '/', 'http://x').searchParams);
 * app.listener((req, res) => list(validOf(query)?.page), { use: [validate(query, { value })] });
 * ```
 *
 * Source: standardschema.dev; go-kratos/kratos `middleware/validate`, which is for servers only and shows the first problem.
 */
// biome-ignore lint/suspicious/noExplicitAny: of responses that it does not look at; kept in a variable it would fit no server else
export function validate<Req, Res = any>(
  schema: StandardSchema<unknown, unknown> | undefined,
  options?: ValidateOptions<Req, Res>,
): Middleware<Req, Res> {
  const settings = resolveOptions<Settings<Req, Res>>(
    'validate',
    validateDefaults,
    options,
    descriptionBounds,
  );
  const { response: expected } = settings;
  if (schema !== undefined) checkSchema('validate: schema', schema);
  if (expected !== undefined) checkSchema('validate.response', expected);
  if (schema === undefined && expected === undefined)
    throw new TypeError('validate: there is neither a schema nor a response to validate');
  for (const name of ['value', 'responseValue'] as const) {
    if (settings[name] !== undefined && typeof settings[name] !== 'function')
      throw new TypeError(`validate.${name} must be a function, got ${String(settings[name])}`);
  }
  const validation = new Validation(schema, settings);
  return (next) => async (request, call) => {
    const response = await next(await validation.admit(request, call), call);
    if (expected !== undefined) await validation.check(expected, response, call);
    return response;
  };
}
