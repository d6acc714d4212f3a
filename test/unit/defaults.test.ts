import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import vm from 'node:vm';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

// Docstrings promise defaults (`@defaultValue`), the code has them (`xxxDefaults`). Here they meet.

interface Option {
  readonly name: string;
  readonly tag: string | undefined;
}

const src = fileURLToPath(new URL('../../src', import.meta.url));

const textOf = (tag: ts.JSDocTag) =>
  (typeof tag.comment === 'string' ? tag.comment : (ts.getTextOfJSDocComment(tag.comment) ?? '')).trim();

/** Optional options only: one that must be given has no default. */
function optionsOf(node: ts.InterfaceDeclaration): Option[] {
  return node.members
    .filter((member) => member.questionToken !== undefined)
    .filter((member) => ts.isPropertySignature(member) || ts.isMethodSignature(member))
    .map((member) => {
      const tag = ts.getJSDocTags(member).find(({ tagName }) => tagName.text === 'defaultValue');
      return { name: member.name.getText(), tag: tag && textOf(tag) };
    });
}

const interfaces = new Map<string, { file: string; options: Option[] }>();
const defaults = new Map<string, { file: string }>();
for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
  const file = join(entry.parentPath, entry.name);
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  for (const statement of source.statements) {
    if (ts.isInterfaceDeclaration(statement) && statement.name.text.endsWith('Options')) {
      interfaces.set(statement.name.text, { file, options: optionsOf(statement) });
    }
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) {
        const text = name.getText();
        const exported = statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
        if (exported && text.endsWith('Defaults')) defaults.set(text, { file });
      }
    }
  }
}

/** What the tag says: its first code span, else its first words. `10 000` and `10_000` are the same number. */
const claimOf = (tag: string) =>
  (/`([^`]*)`/.exec(tag)?.[1] ?? tag.split(/[.;,(\n]\s/)[0] ?? '')
    .replace(/(?<=\d)[ _](?=\d{3}\b)/g, '')
    .trim();

/** A literal's value, or `named` for anything that only code can make (`Math.random`, `monotonicClock()`). */
function read(claim: string): { value: unknown } | { named: string } {
  try {
    return { value: structuredClone(vm.runInNewContext(`(${claim})`, Object.create(null))) };
  } catch {
    return { named: claim };
  }
}

/** Why the docstring and the code disagree about an option, or undefined when they do not. */
function disagreement(option: Option, actual: unknown, given: boolean): string | undefined {
  if (option.tag === undefined) return 'has no @defaultValue';
  const claim = read(claimOf(option.tag));
  const shown = typeof actual === 'function' ? actual.name || 'a function' : JSON.stringify(actual);
  if ('value' in claim) {
    return isDeepStrictEqual(claim.value, actual)
      ? undefined
      : `says ${JSON.stringify(claim.value) ?? claim.value}, the code has ${given ? shown : 'none'}`;
  }
  // Words ("none", "that of the server") are for what no literal can show.
  const literal = actual !== undefined && actual !== null && !/^(object|function)$/.test(typeof actual);
  return literal ? `says "${claim.named}", the code has ${shown}` : undefined;
}

const lower = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);
const pairs = [...interfaces]
  .map(([name, { options }]) => ({ name, options, holder: lower(name).replace(/Options$/, 'Defaults') }))
  .flatMap((pair) => {
    const found = defaults.get(pair.holder);
    return found ? [{ ...pair, file: found.file }] : [];
  });

describe('@defaultValue', () => {
  it('is looked for in every options interface that has defaults', () => {
    expect(pairs.map(({ name }) => name)).not.toEqual([]);
  });

  it('of an app is looked for in each of its options, and each default is of one', async () => {
    const { options, file } = pairs.find(({ name }) => name === 'AppOptions') as (typeof pairs)[number];
    const { appDefaults } = (await import(pathToFileURL(file).href)) as { appDefaults: object };
    const named = options.map(({ name }) => name).sort();
    expect(named).toContain('accessLog');
    expect(Object.keys(appDefaults).sort()).toEqual(named);
  });

  it.each(pairs)('of $name is what $holder holds', async ({ options, holder, file }) => {
    const module: Record<string, unknown> = await import(pathToFileURL(file).href);
    const actual = module[holder] as Record<string, unknown>;
    const wrong = options.flatMap((option) => {
      const why = disagreement(option, actual[option.name], Object.hasOwn(actual, option.name));
      return why ? [`${option.name} ${why}`] : [];
    });
    expect(wrong).toEqual([]);
  });

  it.each([
    ['`3000`', 3000, true],
    ['`10 000`', 10_000, true],
    ['`10_000`, ten seconds', 10_000, true],
    ['10000', 10_000, true],
    ["`'least'`", 'least', true],
    ['`[100, 200]`', [100, 200], true],
    ['`{ ratio: 0.5 }`', { ratio: 0.5 }, true],
    ['`Infinity`', Number.POSITIVE_INFINITY, true],
    ['`undefined`', undefined, true],
    ['none', undefined, true],
    ['`Math.random`', Math.random, true],
    ['`3000`', 3001, false],
    ['`3000`', undefined, false],
    ['`undefined`', 3000, false],
    ['a while', 3000, false],
    [undefined, 3000, false],
  ])('%s against %s: %s', (tag, actual, agree) => {
    expect(disagreement({ name: 'x', tag }, actual, actual !== undefined) === undefined).toBe(agree);
  });
});
