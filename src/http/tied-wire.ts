import type { Call } from '../core/call.js';
import { refusal } from '../core/errors.js';
import {
  formatTied,
  parseTiedState,
  type TiedControl,
  type TiedCopy,
  tiedCopies,
  tiedHeader,
} from '../core/tied-copy.js';
import { claimPath } from './tied-path.js';
import { askAbout, type DispatcherLike } from './tied-question.js';

/** Whether something can be listened to. */
export const isDispatcher = (given: unknown): given is DispatcherLike =>
  typeof (given as DispatcherLike | undefined)?.dispatch === 'function';

/** The methods of handlers that are told a status, and where it stands among their arguments; undici before and from 8. */
const heads = [
  ['onHeaders', 0],
  ['onResponseStart', 1],
] as const;

type Told = (this: unknown, ...args: unknown[]) => unknown;

/** The handler is made by fetch for this one request, and keeps itself in `this`: so it stays the object that it is. */
function attend(handler: Record<string, unknown>, heard: () => void): Record<string, unknown> {
  for (const [name, at] of heads) {
    const native = handler[name];
    if (typeof native !== 'function') continue;
    const told: Told = function (...args) {
      if (args[at] === 102) heard();
      return native.apply(this, args);
    };
    handler[name] = told;
  }
  return handler;
}

/** The same dispatcher for one request, with an ear on `102 Processing`, which fetch itself passes over. */
function hearing(dispatcher: DispatcherLike, heard: () => void): object {
  return Object.create(dispatcher, {
    dispatch: {
      value: (options: unknown, handler: Record<string, unknown>) =>
        dispatcher.dispatch(options, attend(handler, heard)),
    },
  }) as object;
}

/** What is sent, and by what. */
export interface TiedSending {
  readonly origin: string;
  readonly path: string;
  readonly send: typeof globalThis.fetch;
  /** What carries the requests of `send`. */
  readonly dispatcher: DispatcherLike;
  /** What fetch is given otherwise. Asked for when the headers of the call are complete. */
  readonly init: () => RequestInit;
}

/** The types of the platform's fetch know only its own dispatchers. */
function carriedBy(dispatcher: object, init: RequestInit): RequestInit {
  return { ...init, dispatcher } as unknown as RequestInit;
}

/** The copy that an attempt is, if it is one. */
export function tiedCopyOf({ attempt, values }: Call): TiedCopy | undefined {
  return values.get(tiedCopies)?.(attempt);
}

/**
 * Sends one copy of a tied call: marked, with an ear on the notice of its start, and with a way to ask about it.
 *
 * @throws GovernanceError when it must not be sent: its server is not known to let it wait
 */
export function sendTied(copy: TiedCopy, call: Call, sending: TiedSending): Promise<Response> {
  const { origin, path, send, dispatcher } = sending;
  const mark = formatTied(copy);
  const control: TiedControl = {
    withdraw: (cancel) => askAbout({ origin, mark, question: 'withdraw' }, dispatcher, cancel),
    grant: (cancel) => askAbout({ origin, mark, question: 'grant' }, dispatcher, cancel),
  };
  call.headers.set(tiedHeader, mark);
  const ear = hearing(dispatcher, () => copy.heard());
  const init = carriedBy(ear, sending.init());
  if (!copy.carried(control)) {
    const { service, side } = call;
    throw refusal('CANCELLED', `${service}: ${origin} is not known to hold copies`, { service, side });
  }
  const claims = copy.mode === 'claim';
  return send((claims ? origin + claimPath : origin) + path, init).then((response) => {
    const state = response.status === 499 && parseTiedState(response.headers.get(tiedHeader));
    if (state) copy.turnedAway(state);
    if (claims) Object.defineProperty(response, 'url', { value: origin + path, configurable: true });
    return response;
  });
}
