import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A program of this machine that runs for as long as a test wants it. */
export class RealProcess {
  private child: ChildProcess | undefined;
  private said = '';

  constructor(
    private readonly command: readonly [string, ...string[]],
    private readonly answers: () => Promise<boolean>,
  ) {}

  /** Starts it, and waits until it answers. */
  async start(): Promise<void> {
    const [program, ...args] = this.command;
    this.said = '';
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    // A test run that dies must not leave servers behind.
    const last = (): void => void child.kill('SIGKILL');
    process.once('exit', last);
    child.once('exit', () => process.off('exit', last));
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        this.said = `${this.said}${chunk}`.slice(-4_000);
      });
    for (let tries = 0; tries < 400; tries++) {
      if (child.exitCode !== null) break;
      if (await this.answers()) return;
      await pause(25);
    }
    await this.kill();
    throw new Error(`${program} did not start: ${this.said}`);
  }

  /** Ends it at once, as a crash does. */
  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Leaves its connections open, and nobody behind them. */
  freeze(): void {
    this.child?.kill('SIGSTOP');
  }
  thaw(): void {
    this.child?.kill('SIGCONT');
  }
}
