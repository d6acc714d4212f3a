import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';

/** What a program told of a span that an SDK of its own had. */
export interface ToldSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly scope: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** How a program is started. */
export interface ProgramOptions {
  readonly folder: string;
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** What the system allows it, in the words of `ulimit`: `-n 64`. */
  readonly ulimit?: string;
  /** Longest that it may run; one that hangs must not hold the tests. By default 25 s. */
  readonly limitMs?: number;
}

/** A program of a test, in a process of its own. It tells by messages, and ends by itself when told to stop. */
export class TracedProgram {
  readonly told: ToldSpan[] = [];
  output = '';
  private readonly child: ChildProcess;
  private readonly messages: unknown[] = [];
  private readonly waiting: ((message: unknown) => void)[] = [];
  readonly exit: Promise<{ readonly code: number | null; readonly signal: string | null }>;

  constructor(
    file: string,
    { folder, flags = [], environment = {}, ulimit, limitMs = 25_000 }: ProgramOptions,
  ) {
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^(OTEL|KEELSON|NODE_OPTIONS|VITEST)/.test(name),
    );
    this.child = fork(join(folder, file), [], {
      cwd: folder,
      ...(ulimit === undefined
        ? { execArgv: [...flags] }
        : {
            execPath: '/bin/sh',
            execArgv: ['-c', `ulimit ${ulimit} && exec "${process.execPath}" ${flags.join(' ')} "$0"`],
          }),
      env: { ...Object.fromEntries(inherited), ...environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (text) => {
        this.output += text;
      });
    this.child.on('message', (message) => this.hear(message));
    this.exit = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        for (const wake of this.waiting.splice(0)) wake(undefined);
        resolve({ code, signal });
      });
    });
    const limit = setTimeout(() => this.child.kill('SIGKILL'), limitMs);
    void this.exit.then(() => clearTimeout(limit));
  }

  /** What it tells next, besides spans. */
  async next<T>(): Promise<T> {
    const message =
      this.messages.length > 0
        ? this.messages.shift()
        : await new Promise<unknown>((resolve) => this.waiting.push(resolve));
    if (message === undefined) throw new Error(`the program ended: ${this.output}`);
    return message as T;
  }

  tell(message: string): void {
    this.child.send(message);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Tells it to stop, and waits until it has ended. */
  async stop(): Promise<{ readonly code: number | null; readonly signal: string | null }> {
    if (this.child.connected) this.tell('stop');
    return this.exit;
  }

  private hear(message: unknown): void {
    const { span } = message as { readonly span?: ToldSpan };
    if (span !== undefined) {
      this.told.push(span);
      return;
    }
    const wake = this.waiting.shift();
    if (wake === undefined) this.messages.push(message);
    else wake(message);
  }
}
