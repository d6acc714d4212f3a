import type { ServiceInstance } from './instance.js';
import type { Tenure, Trial } from './kept-registration.js';
import { entriesOf, entryForm, type NacosEntry, type NacosPlace, registrationForm } from './nacos-layout.js';
import type { NacosApi, NacosSession } from './nacos-session.js';
import { NotRegistered, RegistryRefusal } from './refusal.js';

const path = '/ns/instance';
/** Said to a renewal of what is not there: by v1 and by v3. */
const missing: readonly number[] = [20_404, 21_003];
/** Said of success: by a renewal of v1, by v3, by v1. */
const fine: readonly unknown[] = [10_200, 0, 200];

/** An instance as entries of Nacos, one for each address, that are renewed. */
export class NacosTenure implements Tenure {
  private readonly entries: readonly NacosEntry[];

  constructor(
    private readonly instance: ServiceInstance,
    private readonly session: NacosSession,
    private readonly place: NacosPlace,
  ) {
    this.entries = entriesOf(instance);
  }

  put(trial: Trial): Promise<void> {
    const { instance, place } = this;
    return this.each(trial, (entry, api) => ({
      method: 'POST',
      path,
      form: registrationForm(instance, entry, { place, api }),
    }));
  }

  /** Says nothing but that it lives: unlike a renewal with everything, that cannot bring back what was taken out. */
  keep(trial: Trial): Promise<void> {
    return this.each(trial, (entry, api) => {
      const form = entryForm(entry, this.place, api);
      if (api === 'v1') return { method: 'PUT', path: `${path}/beat`, form };
      form.set('heartBeat', 'true');
      return { method: 'POST', path, form };
    });
  }

  remove(trial: Trial): Promise<void> {
    return this.each(trial, (entry, api) => ({
      method: 'DELETE',
      path,
      form: entryForm(entry, this.place, api),
    }));
  }

  private async each(
    trial: Trial,
    questionOf: (
      entry: NacosEntry,
      api: NacosApi,
    ) => { method: 'POST' | 'PUT' | 'DELETE'; path: string; form: URLSearchParams },
  ): Promise<void> {
    const { session } = this;
    const api = await session.spoken(trial);
    const results = await Promise.allSettled(
      this.entries.map(async (entry) => check(await session.ask({ ...questionOf(entry, api), ...trial }))),
    );
    const failures = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    );
    if (failures.length === 0) return;
    // One that is gone has to be written anew, whatever became of the others.
    throw failures.find((failure) => failure instanceof NotRegistered) ?? failures[0];
  }
}

/** Whether an answer of status 200 means it: v1 says `ok`, or answers with a code, as v3 always does. */
function check(text: string): void {
  if (text.trim() === 'ok') return;
  let answer: { readonly code?: unknown; readonly message?: unknown } | null;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    throw new Error('the answer is neither "ok" nor JSON', { cause: error });
  }
  const code = answer?.code;
  if (fine.includes(code)) return;
  const reason = `code ${String(code)}${typeof answer?.message === 'string' ? ` ${answer.message}` : ''}`;
  if (missing.includes(Number(code))) throw new NotRegistered(reason);
  throw typeof code === 'number' ? new RegistryRefusal(reason) : new Error('the answer has no code');
}
