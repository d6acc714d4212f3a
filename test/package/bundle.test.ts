import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { describe, expect, inject, it } from 'vitest';
import { foreign, run, subpaths } from './pack.js';

const consumer = inject('consumer');
const ceilings: Record<string, number> = JSON.parse(
  readFileSync(new URL('./size-ceilings.json', import.meta.url), 'utf8'),
);

describe('bundled by esbuild', () => {
  it.each(['esm', 'cjs'] as const)('everything runs as one %s file', async (format) => {
    const imports = subpaths.map((name, at) => `import * as m${at} from '${name}';`).join('\n');
    const outfile = join(consumer, `bundle.${format === 'esm' ? 'mjs' : 'cjs'}`);
    await build({
      stdin: {
        contents: `${imports}\nconsole.log(${subpaths.map((_, at) => `Object.keys(m${at}).length`).join(', ')});`,
        resolveDir: consumer,
      },
      bundle: true,
      minify: true,
      format,
      platform: 'node',
      target: 'node20',
      outfile,
      // CommonJS of that kind cannot become a part of an ES module; jose is taken when the first token comes.
      external: ['@grpc/grpc-js', 'jose'],
      logLevel: 'silent',
    });
    const counts = run(process.execPath, [outfile], consumer).trim().split(' ').map(Number);
    expect(counts).toHaveLength(subpaths.length);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });

  it('drops what is not used', async () => {
    const { outputFiles } = await build({
      stdin: { contents: subpaths.map((name) => `import '${name}';`).join('\n'), resolveDir: consumer },
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      logLevel: 'silent',
    });
    expect(outputFiles[0]?.text.trim()).toBe('');
  });
});

describe('size of a subpath, minified and gzipped, without peers', () => {
  it('has a ceiling for every subpath', () => {
    expect(Object.keys(ceilings).sort()).toEqual([...subpaths].sort());
  });

  it.each(subpaths)('%s stays under its ceiling', async (name) => {
    const { outputFiles } = await build({
      stdin: { contents: `export * from '${name}'`, resolveDir: consumer },
      bundle: true,
      write: false,
      minify: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      external: foreign,
      logLevel: 'silent',
    });
    const bytes = gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length;
    expect(bytes).toBeGreaterThan(0);
    expect(bytes, `bytes, ceiling in test/package/size-ceilings.json`).toBeLessThanOrEqual(
      ceilings[name] ?? 0,
    );
  });
});
