import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { aboutOption, inNameOf } from '../../../src/core/in-name-of.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { unknownOption } from '../../../src/core/option-names.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { checkNumber, resolveOptions, wrongKind } from '../../../src/core/options.js';

describe('unknownOption', () => {
  const known = ['operation', 'timeoutMs', 'priority', 'attempts', 'retry', 'id'];
  it.each([
    ['timeout', 'timeoutMs'],
    ['timeoutms', 'timeoutMs'],
    ['maxAttempts', 'attempts'],
    ['retries', 'retry'],
    ['prority', 'priority'],
    ['Operation', 'operation'],
    ['hedge', undefined],
    ['x', undefined],
    ['id2', 'id'],
    ['', undefined],
    ['toString', undefined],
  ])('for %s it asks whether %s was meant', (given, meant) => {
    const list = known.join(', ');
    const question =
      meant === undefined ? `; there are ${list}` : `: did you mean ${meant}? There are ${list}`;
    expect(unknownOption('x', given, known)).toEqual(new TypeError(`x.${given} is not an option${question}`));
  });
});

describe('wrongKind', () => {
  const maker = () => 1;
  it.each([
    [undefined, 'x.y must be a gate, got undefined'],
    [maker, 'x.y must be a gate, got the function maker; call it: maker()'],
    [
      (
        () => () =>
          1
      )(),
      'x.y must be a gate, got a function',
    ],
    [{}, 'x.y must be a gate, got an object'],
  ])('%o', (value, message) => {
    expect(wrongKind('x.y', 'a gate', value)).toEqual(new TypeError(message));
  });
});

describe('inNameOf', () => {
  const names = { 'stack.retry': 'app.client.retry', stack: 'app.fetch', retry: 'app.fetch.retry' };
  const thrown = (error: unknown): unknown => {
    try {
      return inNameOf(names, () => {
        throw error;
      });
    } catch (caught) {
      return caught;
    }
  };

  it('gives what was made', () => {
    expect(inNameOf(names, () => 5)).toBe(5);
  });

  it.each([
    ['stack.timeoutMs must be', 'app.fetch.timeoutMs must be'],
    ['stack.retry must be', 'app.client.retry must be'],
    ['stack.retry.attempts must be', 'app.client.retry.attempts must be'],
    ['stack: options must be', 'app.fetch: options must be'],
    ['retry.attempts must be', 'app.fetch.retry.attempts must be'],
    ['stack', 'app.fetch'],
  ])('%s: %s', (message, said) => {
    expect(thrown(aboutOption(new RangeError(message)))).toEqual(new RangeError(said));
    expect(thrown(aboutOption(new TypeError(message)))).toEqual(new TypeError(said));
  });

  it('speaks for another that does so', () => {
    const inner = thrown(aboutOption(new TypeError('stack.retry.x')));
    expect(() =>
      inNameOf({ 'app.client': 'governAxios' }, () => {
        throw inner;
      }),
    ).toThrow(new TypeError('governAxios.retry.x'));
  });

  it.each<[() => unknown, string]>([
    [() => checkNumber('stack.x', 'a', {}), 'app.fetch.x must be a number, got "a"'],
    [() => checkNumber('stack.x', -1, { min: 0 }), 'app.fetch.x must be a number >= 0, got -1'],
    [
      () => resolveOptions('stack', { x: 1 }, { other: 1 } as never),
      'app.fetch.other is not an option; there are x',
    ],
    [() => resolveOptions('stack', { x: true }, { x: 1 } as never), 'app.fetch.x must be a boolean, got 1'],
  ])('of what is checked here: %s', (check, said) => {
    expect(() => inNameOf(names, check)).toThrow(said);
  });

  it.each(['retryBudget.ratio must be', 'stacks.x', 'the stack.x', ''])('leaves "%s" as it is', (message) => {
    const error = aboutOption(new TypeError(message));
    expect(thrown(error)).toBe(error);
  });

  it('leaves errors of the user as they are, however they begin', () => {
    class Mine extends TypeError {
      readonly code = 'E_MINE';
    }
    for (const error of [new Mine('stack.x must be mine'), new RangeError('retry: no')])
      expect(thrown(error)).toBe(error);
  });

  it.each([new Error('stack.x'), 'stack.x', undefined, { message: 'stack.x' }])(
    'leaves what speaks of no option as it is: %o',
    (error) => {
      expect(thrown(error)).toBe(error);
    },
  );

  it('keeps the cause', () => {
    const cause = new Error('below');
    expect(thrown(aboutOption(new TypeError('stack.x', { cause })))).toMatchObject({
      message: 'app.fetch.x',
      cause,
    });
  });
});
