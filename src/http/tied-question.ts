import type { Cancellation } from '../core/cancel.js';
import { parseTiedState, type TiedState, tiedHeader } from '../core/tied-copy.js';
import { tiedAskHeader, tiedPath } from './tied-path.js';

/** The part of a dispatcher of undici that is used here; versions differ in what a handler looks like. */
export interface DispatcherLike {
  dispatch(options: unknown, handler: object): unknown;
}

interface Controller {
  abort(reason: unknown): void;
}

/** What is asked, of whom, about which copy. */
export interface Asked {
  readonly origin: string;
  /** As it is written in the header of the copy. */
  readonly mark: string;
  readonly question: 'withdraw' | 'grant';
}

/** In raw headers names and values take turns. */
function valueIn(raw: readonly unknown[], name: string): string | undefined {
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (String(raw[at]).toLowerCase() === name) return String(raw[at + 1]);
  }
  return undefined;
}

/** Hears the answer of one question: both as undici up to 7 tells it and as it does from 7 on. */
class Question {
  private state: TiedState | undefined = undefined;
  private abort: (reason: unknown) => void = () => undefined;
  private readonly unhook: () => void;

  constructor(
    private readonly resolve: (state: TiedState) => void,
    private readonly reject: (error: unknown) => void,
    private readonly cancel: Cancellation,
  ) {
    this.unhook = cancel.onAbort(() => {
      this.abort(cancel.reason);
      reject(cancel.reason);
    });
  }

  onConnect(abort: (reason: unknown) => void): void {
    this.abort = abort;
    if (this.cancel.aborted) abort(this.cancel.reason);
  }
  onHeaders(status: number, headers: readonly unknown[]): boolean {
    if (status >= 200) this.state = parseTiedState(valueIn(headers, tiedHeader));
    return true;
  }
  onData(): boolean {
    return true;
  }
  onComplete(): void {
    this.unhook();
    if (this.state === undefined) this.reject(new Error('no answer to a question about a tied copy'));
    else this.resolve(this.state);
  }
  onError(error: unknown): void {
    this.unhook();
    this.reject(error);
  }

  onRequestStart(controller: Controller): void {
    this.onConnect((reason) => controller.abort(reason));
  }
  onResponseStart(_controller: Controller, status: number, headers: Readonly<Record<string, unknown>>): void {
    const told = headers[tiedHeader];
    if (status >= 200) this.state = parseTiedState(typeof told === 'string' ? told : undefined);
  }
  onResponseData(): void {
    // Its answer is in the headers.
  }
  onResponseEnd(): void {
    this.onComplete();
  }
  onResponseError(_controller: Controller, error: unknown): void {
    this.onError(error);
  }
}

/** Asks a server about a copy that was sent to it, past fetch: that would cost more than all the rest. */
export function askAbout(
  { origin, mark, question }: Asked,
  dispatcher: DispatcherLike,
  cancel: Cancellation,
): Promise<TiedState> {
  return new Promise((resolve, reject) => {
    const headers = { [tiedHeader]: mark, [tiedAskHeader]: question };
    const options = { origin, path: tiedPath, method: 'POST', headers, body: null };
    dispatcher.dispatch(options, new Question(resolve, reject, cancel));
  });
}
