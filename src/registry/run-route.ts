import type { RegistryReply } from '../discovery/transport.js';
import { callerFields } from './caller.js';
import { type Route, routes } from './endpoints.js';
import type { Engine, Exchange } from './engine.js';
import { Fields } from './fields.js';
import { type Params, readForm } from './params.js';
import { codes, Refused } from './refused.js';
import { plain, type Reply, refusal } from './reply.js';

/** What a refused request said of itself may be anything. */
const toldLength = 255;

/** Every write leaves one line, those that are refused as well. */
export function tellRefused(
  engine: Engine,
  { write }: Route,
  { error, exchange, params }: { error: Refused; exchange: Exchange; params?: Params },
): void {
  if (write === undefined) return;
  const about: Record<string, string> = {};
  for (const name of ['env', 'appid', 'zone', 'hostname']) {
    const value = params?.get(name)?.[0];
    if (value) about[name] = value.slice(0, toldLength);
  }
  const { code, message: reason } = error;
  engine.tell('refused', { write, code, reason, ...about, ...callerFields(exchange.caller) });
}

/** Runs one request to its answer, now or later. Never throws. */
export function runRoute(
  engine: Engine,
  route: Route,
  run: { exchange: Exchange; read: () => Params },
): void {
  let reply: Reply | undefined;
  let params: Params = new Map();
  try {
    params = run.read();
    reply = route.endpoint(engine, new Fields(params, engine.limits), run.exchange);
  } catch (error) {
    if (error instanceof Refused) {
      reply = refusal(error);
      tellRefused(engine, route, { error, exchange: run.exchange, params });
    } else {
      engine.tell('fault', { error: String(error) });
      reply = plain(codes.serverError);
    }
  }
  if (reply) run.exchange.answer(reply);
}

/** With the time, to the second, as a header has it. */
function dated({ clock }: Engine, status: number, body: string): RegistryReply {
  return { status, body, dateMs: Math.floor(clock.wallMs() / 1_000) * 1_000 };
}

/** Answers a request that came over no socket. */
export function runLocally(
  engine: Engine,
  wanted: { readonly method: 'GET' | 'POST'; readonly path: string; readonly form: URLSearchParams },
): Promise<RegistryReply> {
  const route = routes.get(wanted.path);
  if (route === undefined) return Promise.resolve(dated(engine, 404, '404 page not found\n'));
  if (route.method !== wanted.method) return Promise.resolve(dated(engine, 405, '405 method not allowed\n'));
  return new Promise((resolve) => {
    const exchange: Exchange = {
      connection: {},
      patienceMs: Number.POSITIVE_INFINITY,
      caller: undefined,
      answer: ({ status, parts }) => resolve(dated(engine, status, parts.map(String).join(''))),
      onGone: () => undefined,
    };
    runRoute(engine, route, {
      exchange,
      read: () => {
        const params: Params = new Map();
        readForm(wanted.form.toString(), params);
        return params;
      },
    });
  });
}
