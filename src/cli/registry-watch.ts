import { setTimeout } from 'node:timers/promises';
import { systemClock } from '../core/clock.js';
import { systemRandom } from '../core/random.js';
import { fullJitterMs } from '../discovery/backoff.js';
import { stringify } from '../discovery/lossless-json.js';
import { AskError, type AskedRegistry, askFlags, askHelp } from './asked-registry.js';
import { type Command, type Terminal, UsageError } from './command.js';
import { withRegistry } from './named-instances.js';
import { parseFlags } from './parse-flags.js';
import {
  appInstances,
  inOrder,
  instanceRow,
  isMembers,
  type ShownInstance,
  textOf,
} from './shown-instance.js';
import { printable, tableLines } from './table.js';

const help = `Usage: keelson registry watch <app...> [options]

Shows the instances of some apps that are up, and then every change, until it is interrupted: + came, - left,
~ changed. With --json each list as a line of its own.

  --env <name>           their env ($DEPLOY_ENV, else default)
${askHelp}`;

/** Servers hold a poll for 30 s at most. */
const pollMs = 30_000;
const replyMs = 10_000;
const backoff = { firstMs: 1_000, maxMs: 15_000 };
const notModified = -304;

/** What a registry is asked for again and again, and what it said last. */
class Followed {
  private readonly since: Map<string, string>;
  private readonly lists = new Map<string, ReadonlyMap<string, ShownInstance>>();
  private readonly form = new URLSearchParams();

  constructor(
    private readonly env: string,
    apps: readonly string[],
    private readonly show: { readonly json: boolean; readonly terminal: Terminal },
  ) {
    this.since = new Map(apps.map((appid) => [appid, '0']));
    this.form.set('env', env);
    this.form.set('hostname', `keelson-watch-${process.pid}-${systemRandom().toString(36).slice(2, 10)}`);
  }

  /** One poll. @throws AskError */
  async poll(registry: AskedRegistry, signal: AbortSignal): Promise<void> {
    this.form.delete('appid');
    this.form.delete('latest_timestamp');
    for (const [appid, since] of this.since) {
      this.form.append('appid', appid);
      this.form.append('latest_timestamp', since);
    }
    const headers = { 'x1-bmspy-timeout': String(pollMs) };
    const reply = await registry.ask('GET', 'polls', {
      ...{ form: this.form, headers, signal, timeoutMs: pollMs + replyMs },
    });
    if (reply.code === notModified) return;
    if (reply.code !== 0) throw registry.refusal(reply);
    for (const [appid, info] of Object.entries(isMembers(reply.data) ? reply.data : {})) {
      if (!isMembers(info) || !this.since.has(appid)) continue;
      this.since.set(appid, textOf(info, 'latest_timestamp') || '0');
      this.told(appid, inOrder(appInstances(info)));
    }
  }

  /** Another process may answer next, whose counters are its own. */
  forget(): void {
    for (const appid of this.since.keys()) this.since.set(appid, '0');
  }

  private told(appid: string, instances: readonly ShownInstance[]): void {
    const { json, terminal } = this.show;
    if (json) terminal.out(stringify({ env: this.env, appid, instances }));
    const before = this.lists.get(appid) ?? new Map<string, ShownInstance>();
    const after = new Map(
      instances.map((one) => [`${textOf(one, 'zone')}\n${textOf(one, 'hostname')}`, one]),
    );
    this.lists.set(appid, after);
    if (json) return;
    const rows: (readonly string[])[] = [];
    for (const [key, one] of before) if (!after.has(key)) rows.push(['-', ...instanceRow(one)]);
    for (const [key, one] of after) {
      const known = before.get(key);
      const row = instanceRow(one);
      if (known === undefined) rows.push(['+', ...row]);
      else if (instanceRow(known).join('\n') !== row.join('\n')) rows.push(['~', ...row]);
    }
    for (const line of tableLines([], rows, false)) terminal.out(line);
  }
}

async function paused(ms: number, signal: AbortSignal): Promise<void> {
  // Interrupted is as good as over.
  await setTimeout(ms, undefined, { signal }).catch(() => undefined);
}

/** Between two answers that come at once, so that a server that never waits does not make it run hot. */
const gapMs = 100;

async function follow(
  followed: Followed,
  registry: AskedRegistry,
  { terminal, signal }: Ending,
): Promise<number> {
  let reached = false;
  let failures = 0;
  while (!signal.aborted)
    try {
      const startedMs = systemClock.now();
      await followed.poll(registry, signal);
      if (failures > 0) terminal.err('keelson registry watch: it answers again');
      reached = true;
      failures = 0;
      await paused(startedMs + gapMs - systemClock.now(), signal);
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof AskError) || !reached) throw error;
      if (failures++ === 0) terminal.err(printable(`keelson registry watch: ${error.message}; trying again`));
      followed.forget();
      await paused(gapMs + fullJitterMs(failures, systemRandom, backoff), signal);
    }
  return 0;
}

interface Ending {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const { values, positionals: apps } = parseFlags(args, { ...askFlags, env: { type: 'string' } }, true);
  if (values.help) {
    terminal.out(help);
    return 0;
  }
  if (apps.length === 0 || apps.includes('')) throw new UsageError('the app is missing');
  const env = values.env ?? (terminal.env['DEPLOY_ENV'] || 'default');
  return await withRegistry(values, terminal, async (registry) => {
    const control = new AbortController();
    void terminal.interrupted().then(() => control.abort());
    const followed = new Followed(env, apps, { json: values.json === true, terminal });
    return await follow(followed, registry, { terminal, signal: control.signal });
  });
}

/** `keelson registry watch` */
export const registryWatch: Command = { summary: 'show every change of some apps', run };
