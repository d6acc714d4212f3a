// Starts and stops the processes of an example. What they do is in their own files; here is nothing to learn.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const children = new Set();
// Whatever happens, no child outlives the example.
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Runs a program until it has printed its address. */
export async function start(program, args = [], env = {}) {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  const url = await new Promise((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const [address] = /(\w+:\/\/|address=)[\d.]+:\d+/.exec(output) ?? [];
      if (address) resolve(address);
    });
    child.once('error', reject);
    child.once('exit', (code) =>
      reject(new Error(`${args.join(' ')} ended with ${code} before it listened`)),
    );
  });
  return { url, kill: () => child.kill('SIGKILL') };
}

/** One process of a service: a file beside the example's own. */
export function startService(file, env) {
  return start(process.execPath, [fileURLToPath(file)], env);
}

/** What `npx keelson registry` starts. */
export async function startRegistry() {
  const folder = dirname(createRequire(import.meta.url).resolve('keelson/package.json'));
  const program = join(folder, 'dist/esm/cli/main.js');
  const { url } = await start(process.execPath, [program, 'registry', '--listen', '127.0.0.1:0']);
  return url.replace('address=', 'http://');
}

/** Asks all to end, as an orchestrator does, and waits until they have. */
export async function stopAll() {
  const ended = [...children].map((child) => once(child, 'exit'));
  for (const child of children) child.kill('SIGTERM');
  await Promise.all(ended);
}
