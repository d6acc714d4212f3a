import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { peers, pkg, project, root, run, subpaths } from './pack.js';

const OLD = 'typescript@5.9.3';
let consumer = '';

beforeAll(() => {
  const nodeTypes = `@types/node@${pkg.devDependencies['@types/node']}`;
  const base = dirname(inject('consumer'));
  consumer = project(base, 'typed', [inject('tarball'), ...peers, nodeTypes, OLD]);
});

const compilers = {
  5.9: () => join(consumer, 'node_modules', 'typescript', 'bin', 'tsc'),
  '6.0': () => join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
  '7.0': () => join(root, 'node_modules', 'tsc7', 'bin', 'tsc'),
};

const settings = {
  node10: { module: 'commonjs', moduleResolution: 'node10' },
  node16: { module: 'node16', moduleResolution: 'node16' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
} as const;

type Compiler = keyof typeof compilers;
type Resolution = keyof typeof settings;

/** TypeScript 7 has no node10 any more. */
const cases = (Object.keys(compilers) as Compiler[]).flatMap((compiler) =>
  (Object.keys(settings) as Resolution[])
    .filter((resolution) => !(compiler === '7.0' && resolution === 'node10'))
    .flatMap((resolution) =>
      (resolution.startsWith('node1') && resolution !== 'node16'
        ? ['ts']
        : resolution === 'bundler'
          ? ['ts']
          : ['mts', 'cts']
      ).map((extension) => ({ compiler, resolution, extension })),
    ),
);

/** Declarations of Connect name types of the DOM, which @types/node 20 has not: whoever uses it has to skip them. */
const skipped = 'keelson/connect';

/** Subpaths, and for each the proof that its types were found: `any` would swallow all mistakes. */
const codeFor = (names: readonly string[]) =>
  [
    ...names.map((name, at) => `import * as m${at} from '${name}';`),
    'type Found<T> = 0 extends 1 & T ? never : T;',
    ...names.map((_, at) => `export const found${at}: Found<typeof m${at}> = m${at};`),
    `// @ts-expect-error a name that does not exist`,
    `export const missing = m0.thisNameDoesNotExist;`,
  ].join('\n');

describe('types', () => {
  it.each(cases)(
    'are found by TypeScript $compiler under $resolution in a .$extension file',
    ({ compiler, resolution, extension }) => {
      const check = (names: readonly string[], skipLibCheck: boolean) => {
        const folder = join(consumer, `${compiler}-${resolution}-${extension}-${skipLibCheck}`);
        mkdirSync(folder);
        writeFileSync(join(folder, `main.${extension}`), codeFor(names));
        const options = {
          ...settings[resolution],
          ...(compiler === '6.0' && resolution === 'node10' ? { ignoreDeprecations: '6.0' } : {}),
          target: 'es2022',
          lib: ['es2023'],
          types: ['node'],
          strict: true,
          noEmit: true,
          skipLibCheck,
        };
        const config = { compilerOptions: options, files: [`main.${extension}`] };
        writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
        return run(process.execPath, [compilers[compiler](), '-p', folder], consumer);
      };
      // Our own declarations are checked along with the user's code, which has no DOM and no undici.
      expect(
        check(
          subpaths.filter((name) => name !== skipped),
          false,
        ),
      ).toBe('');
      expect(check([skipped], true)).toBe('');
    },
  );
});
