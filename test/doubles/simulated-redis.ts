import { createHash } from 'node:crypto';
import type { IoredisClient, NodeRedisClient } from 'keelson/redis';
import type { ManualClock } from 'keelson/testing';

/** What the rate's script says to Redis: its arguments and the key's value before and after. */
export interface ScriptRun {
  readonly reply: string;
  /** `undefined` when nothing was written. */
  readonly written: string | undefined;
  readonly ttlMs: number;
}

const lower = (text: string | undefined): number => Number(text);

/**
 * The rate's script once more, in TypeScript, for tests in virtual time. That it does what the Lua does is tested
 * against a real Redis.
 *
 * @param nowUs - Redis's clock, in microseconds
 */
export function runRateScript(held: string | undefined, args: readonly string[], nowUs: number): ScriptRun {
  const [perSecond = 0, burst = 0, least = 0, most = 0, giveBack = 0] = args.slice(0, 5).map(lower);
  let [debt = 0, stamp = nowUs, refunded = 0, born = nowUs] = held?.split(' ').map(lower) ?? [];
  const perUs = perSecond / 1e6;
  debt = Math.max(0, debt - Math.max(0, nowUs - stamp) * perUs);
  let back = giveBack;
  if (back > 0) {
    const [owed = 0, at = 0, given = 0] = (args[5] ?? '').split(' ').map(lower);
    const room = owed - (nowUs - at) * perUs - (refunded - given);
    back = at < born || at > nowUs || given > refunded ? 0 : Math.max(0, Math.min(back, debt, room));
    debt -= back;
    refunded += back;
  }
  let granted = 0;
  const free = burst - debt;
  if (most > 0 && free + 1e-6 >= least) {
    granted = least + Math.max(0, Math.floor(Math.min(most, free) - least + 1e-6));
    debt += granted;
  }
  const writes = granted > 0 || back > 0 || stamp > nowUs;
  stamp = nowUs;
  return {
    reply: `${granted} ${debt} ${nowUs} ${refunded}`,
    written: writes ? `${debt} ${stamp} ${refunded} ${born}` : undefined,
    ttlMs: Math.min(1e12, Math.ceil((debt / perSecond) * 1000) + 1000),
  };
}

/** How it answers. */
export type SimulatedRedisMode =
  /** As Redis does. */
  | 'up'
  /** Every command is rejected at once, as by a client whose connection was refused. */
  | 'down'
  /** Commands are kept and run when it is up again, as in a client's queue while it connects. */
  | 'queueing'
  /** Commands are run, and the answers never come. */
  | 'mute';

/** A Redis in virtual time that knows one script. */
export interface SimulatedRedis {
  mode: SimulatedRedisMode;
  /** There and back; milliseconds. */
  latencyMs: number;
  /** By how much its clock is ahead of the manual one; milliseconds. */
  skewMs: number;
  /** Keys and what they hold. */
  readonly values: Map<string, string>;
  /** Commands that arrived, as `evalsha` and `eval`. */
  readonly commands: string[];
  /** Keys of other types. */
  readonly foreign: Set<string>;
  /** Forgets the script, as a restart does. */
  forgetScripts(): void;
  /** Source of the script and the hash that it was asked for by. */
  readonly script: { source: string | undefined; sha: string | undefined };
  /** Lets kept commands run; for `queueing`, before or after it is up. */
  drain(): void;
  readonly ioredis: IoredisClient;
  readonly nodeRedis: NodeRedisClient;
}

/** Makes one, empty. */
export function simulatedRedis(clock: ManualClock): SimulatedRedis {
  const values = new Map<string, string>();
  const expiries = new Map<string, number>();
  const commands: string[] = [];
  const foreign = new Set<string>();
  const known = new Set<string>();
  const queue: (() => void)[] = [];
  const script: SimulatedRedis['script'] = { source: undefined, sha: undefined };

  const execute = (sha: string, key: string, args: readonly string[]): string => {
    if (!known.has(sha)) throw new Error('NOSCRIPT No matching script. Please use EVAL.');
    if (foreign.has(key))
      throw new Error('WRONGTYPE Operation against a key holding the wrong kind of value');
    const now = clock.now() + redis.skewMs;
    if ((expiries.get(key) ?? Number.POSITIVE_INFINITY) <= now) values.delete(key);
    const run = runRateScript(values.get(key), args, Math.round((now + 1e9) * 1000));
    if (run.written !== undefined) {
      values.set(key, run.written);
      expiries.set(key, now + run.ttlMs);
    }
    return run.reply;
  };

  const later = (run: () => void): void => {
    if (redis.latencyMs > 0) clock.after(redis.latencyMs / 2, run);
    else run();
  };

  const send = (name: 'evalsha' | 'eval', what: string, key: string, args: readonly string[]) =>
    new Promise<unknown>((resolve, reject) => {
      const arrive = (): void => {
        commands.push(name);
        const sha = name === 'eval' ? createHash('sha1').update(what).digest('hex') : what;
        if (name === 'eval') {
          known.add(sha);
          script.source = what;
        } else script.sha = what;
        const { mode } = redis;
        let answer: () => void;
        try {
          const reply = execute(sha, key, args);
          answer = () => resolve(reply);
        } catch (error) {
          answer = () => reject(error);
        }
        if (mode !== 'mute') later(answer);
      };
      if (redis.mode === 'down') reject(new Error('connect ECONNREFUSED'));
      else if (redis.mode === 'queueing') queue.push(arrive);
      else later(arrive);
    });

  const redis: SimulatedRedis = {
    mode: 'up',
    latencyMs: 0,
    skewMs: 0,
    values,
    commands,
    foreign,
    script,
    forgetScripts: () => known.clear(),
    drain: () => {
      for (const run of queue.splice(0)) run();
    },
    ioredis: {
      evalsha: (sha, _count, key = '', ...args) => send('evalsha', sha, key, args),
      eval: (source, _count, key = '', ...args) => send('eval', source, key, args),
    },
    nodeRedis: {
      evalSha: (sha, { keys: [key = ''], arguments: args }) => send('evalsha', sha, key, args),
      eval: (source, { keys: [key = ''], arguments: args }) => send('eval', source, key, args),
    },
  };
  return redis;
}
