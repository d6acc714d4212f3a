import {
  type Call,
  compose,
  createCall,
  GovernanceError,
  isGovernanceError,
  runWithCall,
} from 'keelson/core';
import {
  type StandardSchema,
  type ValidateOptions,
  validate,
  validated,
  validatedSync,
  validOf,
} from 'keelson/validation';
import * as v from 'valibot';
import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import { z } from 'zod';

const zodUser = z.object({ name: z.string().min(1), age: z.coerce.number().int().default(18) });
const valibotUser = v.object({ name: v.pipe(v.string(), v.minLength(1)), age: v.optional(v.number(), 18) });

/** As arktype's are: a function that is a schema too. */
const positive: StandardSchema<unknown, number> = Object.assign(() => undefined, {
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) =>
      typeof value === 'number' && value > 0 ? { value } : { issues: [{ message: 'must be positive' }] },
  },
});

/** Answers late, as one that asks a database would. */
const late = <T>(schema: StandardSchema<unknown, T>): StandardSchema<unknown, T> => ({
  '~standard': {
    ...schema['~standard'],
    validate: async (value) => {
      await Promise.resolve();
      return schema['~standard'].validate(value);
    },
  },
});

const issuing = (issues: readonly object[]): StandardSchema<unknown, never> => ({
  '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: issues as never }) },
});

const broken: StandardSchema = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: () => {
      throw new RangeError('schema');
    },
  },
};

async function refusalOf(promise: Promise<unknown>): Promise<GovernanceError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isGovernanceError(error)) throw new Error(`no refusal but ${String(error)}`);
  return error;
}

describe('validated', () => {
  it.each([
    ['zod', zodUser],
    ['valibot', valibotUser],
    ['zod, late', late(zodUser)],
  ] as [string, StandardSchema][])('gives the output of %s', async (_, schema) => {
    expect(await validated(schema, { name: 'Ada' })).toEqual({ name: 'Ada', age: 18 });
    const error = await refusalOf(validated(schema, { name: '' }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', side: 'server', httpStatus: 400, grpcStatus: 3 });
    expect(error.answer?.text).toMatch(/^name: .+/);
    expect(error.cause).toMatchObject([{ path: expect.anything() }]);
  });

  it('has the type of the output', async () => {
    expectTypeOf(await validated(zodUser, { name: 'Ada' })).toEqualTypeOf<{ name: string; age: number }>();
    expectTypeOf(validatedSync(valibotUser, { name: 'Ada' })).toEqualTypeOf<{ name: string; age: number }>();
  });

  it('takes schemas that are functions', async () => {
    expect(await validated(positive, 5)).toBe(5);
    expect((await refusalOf(validated(positive, -1))).answer?.text).toBe('must be positive');
  });

  it('in its synchronous form wants a synchronous schema', () => {
    expect(validatedSync(zodUser, { name: 'Ada', age: '5' })).toEqual({ name: 'Ada', age: 5 });
    expect(() => validatedSync(zodUser, 5)).toThrow(GovernanceError);
    expect(() => validatedSync(late(zodUser), {})).toThrow('use validated');
  });

  it('passes on what a schema throws', async () => {
    await expect(validated(broken, 5)).rejects.toThrow(RangeError);
    expect(() => validatedSync(broken, 5)).toThrow(RangeError);
  });

  it.each([undefined, null, {}, zodUser.shape, () => 5, { '~standard': {} }])(
    'refuses %o as a schema',
    async (bad) => {
      await expect(validated(bad as never, 5)).rejects.toThrow(TypeError);
      expect(() => validatedSync(bad as never, 5)).toThrow(TypeError);
      if (bad !== undefined) expect(() => validate(bad as never)).toThrow(TypeError);
    },
  );

  it.each([{ maxIssues: 0 }, { maxLength: 9 }, { maxIssues: 1.5 }, { nope: 1 }])(
    'refuses %o',
    async (options) => {
      await expect(validated(positive, 5, options)).rejects.toThrow(/validated/);
      expect(() => validate(positive, options as ValidateOptions<unknown, unknown>)).toThrow(/validate/);
    },
  );
});

describe('what is told of an invalid value', () => {
  const told = async (issues: readonly object[], options = {}) =>
    (await refusalOf(validated(issuing(issues), 5, options))).answer?.text;

  it('names where', async () => {
    expect(
      await told([
        { message: 'a', path: ['items', 0, 'name'] },
        { message: 'b', path: [{ key: 'x' }, { key: 1 }] },
        { message: 'c', path: [Symbol('s')] },
        { message: 'd', path: [] },
        { message: 'e' },
        { message: 'f', path: [3] },
      ]),
    ).toBe('items[0].name: a\nx[1]: b\nSymbol(s): c\nd\ne\n[3]: f');
  });

  it('is bounded in number and length', async () => {
    const many = Array.from({ length: 1000 }, (_, at) => ({ message: 'no', path: [at] }));
    expect((await told(many))?.split('\n')).toHaveLength(9);
    expect(await told(many, { maxIssues: 1 })).toBe('[0]: no\n999 more');
    const long = await told([{ message: 'x'.repeat(1_000_000) }]);
    expect(long).toBe(`${'x'.repeat(199)}…`);
    const deep = await told([{ message: 'm', path: Array.from({ length: 100_000 }, () => 'key') }], {
      maxLength: 10,
    });
    expect(deep).toBe('key.key.k…');
  });

  it('cannot begin a line of its own, whatever its keys are', async () => {
    expect(await told([{ message: 'a\r\nSet-Cookie: x', path: ['b\n\u2028c\u202e', '\ud800'] }])).toBe(
      'b c . : a Set-Cookie: x',
    );
  });
});

type Message = { readonly body: unknown };

const callOf = (side: 'client' | 'server'): Call =>
  createCall({ side, service: 'users', operation: '/pkg.Users/Add' });

const setUp = <Req = unknown>(
  schema: StandardSchema<unknown, unknown> | undefined,
  options: ValidateOptions<Req, unknown> = {},
  answer: unknown = 'ok',
) => {
  const seen = vi.fn(async (_request: Req, _call: Call): Promise<unknown> => answer);
  return { seen, run: compose<Req, unknown>([validate<Req, unknown>(schema, options)], seen) };
};

describe('validate', () => {
  it('gives the output on in place of the message', async () => {
    const { seen, run } = setUp(zodUser);
    const call = callOf('server');
    expect(await run({ name: 'Ada', more: 1 }, call)).toBe('ok');
    expect(seen).toHaveBeenCalledExactlyOnceWith({ name: 'Ada', age: 18 }, call);
  });

  it('leaves the request as it is when only part of it is looked at, and keeps the output', async () => {
    const { seen, run } = setUp<Message>(late(zodUser), { value: async ({ body }) => body });
    const other = z.string();
    const request = { body: { name: 'Ada' } };
    const call = callOf('server');
    await run(request, call);
    expect(seen.mock.calls[0]?.[0]).toBe(request);
    expect(runWithCall(call, () => validOf(other))).toBeUndefined();
    expect(validOf(zodUser, callOf('server'))).toBeUndefined();
    expect(validOf(zodUser)).toBeUndefined();
  });

  it('keeps the output of each schema', async () => {
    const query = z.object({ page: z.coerce.number() });
    const call = callOf('server');
    const handler = compose<Message, unknown>(
      [
        validate<Message, unknown>(query, { value: () => ({ page: '2' }) }),
        validate<Message, unknown>(zodUser, { value: ({ body }) => body }),
      ],
      async () => [runWithCall(call, () => validOf(query)?.page), validOf(zodUser, call)],
    );
    expect(await handler({ body: { name: 'Ada' } }, call)).toEqual([2, { name: 'Ada', age: 18 }]);
  });

  it.each([
    ['server', 400, 3],
    ['client', 500, 13],
  ] as const)('refuses an invalid request on a %s, and calls nobody', async (side, http, grpc) => {
    const { seen, run } = setUp(zodUser);
    const error = await refusalOf(run({ name: 5 }, callOf(side)));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', side, service: 'users', retryable: false });
    expect([error.httpStatus, error.grpcStatus]).toEqual([http, grpc]);
    expect(error.message).toMatch(/^\/pkg\.Users\/Add: invalid request: name: /);
    expect(seen).not.toHaveBeenCalled();
  });

  it('takes a request that cannot be read for an invalid one', async () => {
    for (const value of [
      ({ body }: Message) => JSON.parse(String(body)),
      async ({ body }: Message) => JSON.parse(String(body)),
    ]) {
      const error = await refusalOf(setUp<Message>(zodUser, { value }).run({ body: '{' }, callOf('server')));
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', answer: { text: 'it cannot be read' } });
      expect(error.cause).toBeInstanceOf(SyntaxError);
    }
  });

  it('passes on a refusal on the way, and what a schema throws', async () => {
    const gone = new GovernanceError('CANCELLED', 'gone');
    const value = () => {
      throw gone;
    };
    await expect(setUp<Message>(zodUser, { value }).run({ body: 1 }, callOf('server'))).rejects.toBe(gone);
    await expect(setUp(broken).run(5, callOf('server'))).rejects.toThrow(RangeError);
  });

  it('judges responses: on a client the callee failed, on a server the program', async () => {
    const { run } = setUp(undefined, { response: zodUser }, { name: 5 });
    const error = await refusalOf(run('any', callOf('client')));
    expect(error).toMatchObject({
      code: 'INVALID_RESPONSE',
      side: 'client',
      httpStatus: 502,
      retryable: false,
    });
    expect(error.message).toContain('invalid response: name: ');
    expect(error.answer).toBeUndefined();
    const fault = await run('any', callOf('server')).catch((thrown: unknown) => thrown);
    expect(isGovernanceError(fault)).toBe(false);
    expect(fault).toBeInstanceOf(Error);
  });

  it('gives good responses on as they are', async () => {
    const answer = { data: { name: 'Ada', more: 1 } };
    const responseValue = (response: unknown) => (response as typeof answer).data;
    const { seen, run } = setUp(z.string(), { response: late(zodUser), responseValue }, answer);
    expect(await run('request', callOf('client'))).toBe(answer);
    expect(seen).toHaveBeenCalledTimes(1);
    const unread = setUp(undefined, { response: zodUser, responseValue }, undefined);
    expect(await refusalOf(unread.run('any', callOf('client')))).toMatchObject({ code: 'INVALID_RESPONSE' });
  });

  it.each([
    [undefined, {}],
    [zodUser, { value: 'body' }],
    [zodUser, { response: {} }],
    [undefined, { response: zodUser, responseValue: 5 }],
  ])('refuses %#', (schema, options) => {
    expect(() => validate(schema as never, options as never)).toThrow(TypeError);
  });
});
