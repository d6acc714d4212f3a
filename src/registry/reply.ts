import { type Code, codes, type Refused } from './refused.js';

/** One answer. The body is in parts, so that a list encoded once is sent to thousands without being copied. */
export interface Reply {
  /** The protocol's code. */
  readonly code: Code;
  /** HTTP status; 200 unless the request is broken below the protocol. */
  readonly status: number;
  /** The body. */
  readonly parts: readonly (string | Buffer)[];
}

/** Code and message, no data. */
export function plain(code: Code, message = String(code), status = 200): Reply {
  return { code, status, parts: [`{"code":${code},"message":${JSON.stringify(message)},"ttl":1}`] };
}

/** Code and data; the parts together are JSON. */
export function withData(code: Code, ...data: readonly (string | Buffer)[]): Reply {
  return { code, status: 200, parts: [`{"code":${code},"message":"${code}","ttl":1,"data":`, ...data, '}'] };
}

/** Replies that consist of one list, by that list: thousands wait for the same, and it is compressed for all of them once. */
const shared = { data: new WeakMap<Buffer, Reply>(), changes: new WeakMap<Buffer, Reply>() };

function share(known: WeakMap<Buffer, Reply>, list: Buffer, make: () => Reply): Reply {
  let reply = known.get(list);
  if (reply === undefined) {
    reply = make();
    known.set(list, reply);
  }
  return reply;
}

/** One list as data; for each list the same reply. */
export function listReply(list: Buffer): Reply {
  return share(shared.data, list, () => withData(codes.ok, list));
}

/** Data and what was not found, without ttl: what the original answers to `/polls`. A list is of one app. */
export function changes(lists: ReadonlyMap<string, Buffer>, missing: readonly string[]): Reply {
  const [only] = lists.values();
  if (only === undefined || lists.size > 1 || missing.length > 0) return changesOf(lists, missing);
  return share(shared.changes, only, () => changesOf(lists, missing));
}

function changesOf(lists: ReadonlyMap<string, Buffer>, missing: readonly string[]): Reply {
  const parts: (string | Buffer)[] = [`{"code":0,"message":"0","data":`, ...listsByApp(lists)];
  parts.push(`,"error":{"-404":${missing.length === 0 ? 'null' : JSON.stringify(missing)}}}`);
  return { code: codes.ok, status: 200, parts };
}

/** `{appid:list,…}` */
export function listsByApp(lists: ReadonlyMap<string, Buffer>): readonly (string | Buffer)[] {
  const parts: (string | Buffer)[] = [];
  for (const [appid, json] of lists)
    parts.push(`${parts.length === 0 ? '{' : ','}${JSON.stringify(appid)}:`, json);
  parts.push(parts.length === 0 ? '{}' : '}');
  return parts;
}

/** `/poll` of an unknown app, which carries no ttl either. */
export function pollMissing(appid: string): Reply {
  const message = JSON.stringify(`${appid} not found`);
  return { code: codes.notFound, status: 200, parts: [`{"code":${codes.notFound},"message":${message}}`] };
}

/** What a refusal becomes. */
export function refusal(refused: Refused): Reply {
  return plain(refused.code, refused.message, refused.status);
}
