import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** As root, and as anybody else where that is allowed. */
const ways = [
  ['--fork', '--pid', '--kill-child'],
  ['--user', '--map-root-user', '--fork', '--pid', '--kill-child'],
];
const way = ways.find((flags) => {
  const { status, stdout } = spawnSync('unshare', [...flags, 'sh', '-c', 'echo $$'], { encoding: 'utf8' });
  return status === 0 && stdout.trim() === '1';
});

/** Whether this machine lets a test have a process that is the first of its namespace, as in a container. */
export const hasFirstProcesses = way !== undefined;

/** How such a process is started. */
export interface FirstProcessOptions {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** A Node program as the first process of a container. */
export class FirstProcess {
  output = '';
  /** 128 and more for one that a signal has ended. */
  readonly exit: Promise<number | null>;
  private readonly unshare: ChildProcess;

  constructor(file: string, { folder, environment }: FirstProcessOptions) {
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^(OTEL|KEELSON|NODE_OPTIONS|VITEST)/.test(name),
    );
    this.unshare = spawn('unshare', [...(way ?? []), process.execPath, join(folder, file)], {
      cwd: folder,
      env: { ...Object.fromEntries(inherited), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.unshare.stdout, this.unshare.stderr])
      stream?.on('data', (text) => {
        this.output += text;
      });
    // One that hangs must not hold the tests, too.
    const limit = setTimeout(() => this.kill('SIGKILL'), 25_000);
    this.exit = new Promise((resolve) => {
      this.unshare.once('close', (code) => {
        clearTimeout(limit);
        resolve(code);
      });
    });
  }

  /** Sends a signal to the program, from outside. */
  kill(signal: NodeJS.Signals): void {
    const { pid } = this.unshare;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    process.kill(Number(children[0]), signal);
  }
}
