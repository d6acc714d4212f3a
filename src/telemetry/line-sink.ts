import type { Clock, Timer } from '../core/clock.js';
import { wrongKind } from '../core/options.js';

/** Where lines can go; a `Writable` of Node is one. */
export interface LineStream {
  /** Takes text; `false` when it has enough for now. */
  write(text: string): unknown;
  /** Runs a function when it takes more. */
  once?(event: 'drain', run: () => void): unknown;
  /** Hears of errors, which must not end the process. */
  on?(event: 'error', listener: (error: unknown) => void): unknown;
}

/** Writes lines, and loses some rather than hold up or throw. */
export interface LineSink {
  /** Takes one line, without its end. */
  line(text: string): void;
  /** Writes what is held back. */
  flush(): void;
  /** Lines that were lost so far. */
  readonly lost: number;
}

/** A function is told each line as it comes; what it does with it is its own. */
class Told implements LineSink {
  lost = 0;
  constructor(private readonly tell: (line: string) => void) {}
  line(text: string): void {
    try {
      this.tell(text);
    } catch {
      this.lost++;
    }
  }
  flush(): void {}
}

const heard = new WeakSet<object>();

/** A pipe that was closed must not end the process for want of a listener; one is enough, however many logs there are. */
function hearErrors(stream: LineStream): void {
  if (heard.has(stream)) return;
  heard.add(stream);
  stream.on?.('error', () => undefined);
}

/** So much at once, or after so long: a write for each line costs more than the line. */
const chunkChars = 16_384;
const flushMs = 100;

/** A stream gets lines in chunks; while it does not keep up they wait, as many as may. */
class Streamed implements LineSink {
  lost = 0;
  private held = '';
  private lines = 0;
  private stalled = false;
  private timer: Timer | undefined = undefined;

  constructor(
    private readonly stream: LineStream,
    private readonly clock: Clock,
    private readonly maxHeldChars: number,
  ) {
    hearErrors(stream);
  }

  line(text: string): void {
    if (this.held.length + text.length > this.maxHeldChars) {
      this.lost++;
      return;
    }
    this.held += `${text}\n`;
    this.lines++;
    if (this.stalled) return;
    if (this.held.length >= chunkChars) this.flush();
    else this.timer ??= this.clock.after(flushMs, () => this.flush());
  }

  flush(): void {
    this.timer?.cancel();
    this.timer = undefined;
    if (this.held === '') return;
    const { held, lines } = this;
    this.held = '';
    this.lines = 0;
    try {
      if (this.stream.write(held) === false) this.wait();
    } catch {
      this.lost += lines;
    }
  }

  private wait(): void {
    if (this.stream.once === undefined || this.stalled) return;
    this.stalled = true;
    this.stream.once('drain', () => {
      this.stalled = false;
      this.flush();
    });
  }
}

/**
 * Makes a sink of a stream or a function.
 *
 * @throws TypeError for what is neither
 */
export function lineSink(
  field: string,
  to: LineStream | ((line: string) => void),
  { clock, maxHeldBytes }: { readonly clock: Clock; readonly maxHeldBytes: number },
): LineSink {
  if (typeof to === 'function') return new Told(to);
  if (typeof to?.write === 'function') return new Streamed(to, clock, maxHeldBytes);
  throw wrongKind(field, 'a writable stream or a function', to);
}
