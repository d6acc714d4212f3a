// Runs every example and compares what it prints with what its head promises:
//
//   // expect: a line, or a part of one        (or /a regular expression/; as many as wanted, in any order)
//   // seconds: 20                              (time limit, default 15)
//
// An example is examples/<name>.{mjs,cjs} or examples/<name>/main.{mjs,cjs}; a folder without a main holds what several of
// them need. The demo has its own command.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'examples');
const wanted = process.argv.slice(2);

/** @returns {string[]} */
function entries() {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== 'demo')
    .flatMap((entry) =>
      entry.isDirectory() ? ['main.mjs', 'main.cjs'].map((name) => join(entry.name, name)) : [entry.name],
    )
    .filter((path) => /\.[mc]js$/.test(path) && existsSync(join(folder, path)))
    .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
    .sort();
}

/** @param {string} path */
function promiseOf(path) {
  const code = readFileSync(join(folder, path), 'utf8');
  const expected = Array.from(code.matchAll(/^\/\/ expect: (.+)$/gm), ([, text]) => String(text).trim());
  const seconds = Number(/^\/\/ seconds: (\d+)$/m.exec(code)?.[1] ?? 15);
  return { expected, seconds };
}

/** @param {string} output @param {string} text */
function holds(output, text) {
  const pattern = /^\/(.+)\/([a-z]*)$/.exec(text);
  return pattern ? new RegExp(String(pattern[1]), pattern[2]).test(output) : output.includes(text);
}

/**
 * @param {string} path
 * @param {number} seconds
 * @returns {Promise<{ output: string, ended: string }>}
 */
function run(path, seconds) {
  return new Promise((resolve) => {
    // A group of its own, so that what the example started ends with it.
    const child = spawn(process.execPath, [join(folder, path)], {
      cwd: dirname(folder),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const end = () => {
      try {
        if (child.pid) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It is gone already.
      }
    };
    let output = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      end();
    }, seconds * 1000);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      end();
      const ended = late
        ? `did not end within ${seconds} s`
        : code === 0
          ? ''
          : `ended with ${signal ?? code}`;
      // Pipes may hold a last piece when the process is gone.
      setImmediate(() => resolve({ output, ended }));
    });
  });
}

let failed = 0;
const paths = entries();
for (const path of paths) {
  const { expected, seconds } = promiseOf(path);
  const started = Date.now();
  const { output, ended } = await run(path, seconds);
  const missing = expected.filter((text) => !holds(output, text)).map((text) => `did not print: ${text}`);
  const wrong = [ended, ...missing, expected.length === 0 ? 'declares no "// expect: …"' : ''].filter(
    Boolean,
  );
  console.log(`${wrong.length === 0 ? 'ok  ' : 'FAIL'} ${path} (${Date.now() - started} ms)`);
  if (wrong.length > 0) {
    failed++;
    console.log([...wrong, 'output:', output].join('\n').replace(/^/gm, '     '));
  }
}
if (paths.length === 0) console.log('no examples found');
console.log(`examples: ${paths.length - failed} passed, ${failed} failed`);
process.exitCode = paths.length === 0 || failed > 0 ? 1 : 0;
