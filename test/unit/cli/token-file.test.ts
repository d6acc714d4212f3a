import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { parseRegistryFlags } from '../../../src/cli/registry-flags.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { firstToken, readTokenFile } from '../../../src/cli/token-file.js';

const folder = mkdtempSync(join(tmpdir(), 'keelson-token-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (text: string) => {
  const path = join(folder, 'tokens');
  writeFileSync(path, text);
  return path;
};

describe('a file of tokens', () => {
  it.each([
    ['alone-it-has-no-name', 'alone-it-has-no-name'],
    ['# remark\n\nold first\r\n  new second\n', 'first'],
    ['v2 first\n__proto__ second\n1a third', 'first'],
  ])('%j: its first is shown', (text, first) => {
    expect(firstToken(readTokenFile(file(text)))).toBe(first);
  });

  it.each([
    ['ops secret-one\n2 secret-two\n', /line 2 has a name of digits alone$/],
    ['2024 secret-one\n', /line 1 has a name of digits alone$/],
    ['ops secret-one\nops secret-two\n', /line 2 is not a name of its own and a token$/],
    ['', /is empty$/],
  ])('%j is refused', (text, message) => {
    expect(() => readTokenFile(file(text))).toThrow(message);
  });

  it('goes with the names of those that are for nodes', () => {
    const path = file('old first\nnew second\n');
    const { options } = parseRegistryFlags(['--token-file', path, '--node-tokens', 'new, old'], {});
    expect(options).toMatchObject({ token: { old: 'first', new: 'second' }, nodeTokens: ['new', 'old'] });
    expect(parseRegistryFlags([], {}).options.nodeTokens).toBeUndefined();
  });
});
