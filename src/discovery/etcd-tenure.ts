import type { Clock } from '../core/clock.js';
import type { EtcdApi, EtcdHow } from './etcd-api.js';
import type { Tenure, Trial } from './kept-registration.js';
import { NotRegistered } from './refusal.js';
import { within } from './within.js';

/** What an {@link EtcdTenure} needs. */
export interface EtcdTenureInit {
  readonly api: EtcdApi;
  readonly clock: Clock;
  readonly key: string;
  readonly value: string;
  readonly ttlMs: number;
}

/** Every so many renewals it is looked whether the key is still there: the lease says nothing of it. */
const renewalsToLook = 6;

/** An instance as a key that goes with a lease of its own. */
export class EtcdTenure implements Tenure {
  private lease: string | undefined;
  private renewals = 0;

  constructor(private readonly init: EtcdTenureInit) {}

  put(trial: Trial): Promise<void> {
    return this.within(trial, async (how) => {
      const { api, key, value, ttlMs } = this.init;
      // The lease before, if there is one, is given up: nothing hangs on it any more, and it ends by itself.
      const lease = await api.grant(ttlMs, how);
      this.lease = lease;
      this.renewals = 0;
      if (!(await api.put({ key, value, lease }, how)))
        throw new Error('the lease was lost before the key was written');
    });
  }

  keep(trial: Trial): Promise<void> {
    return this.within(trial, async (how) => {
      const { api, key } = this.init;
      const { lease } = this;
      if (lease === undefined || !(await api.keepAlive(lease, how)))
        throw new NotRegistered('the lease is lost');
      this.renewals++;
      if (this.renewals % renewalsToLook > 0) return;
      // A key under another lease is that of a process which took our place: it is not ours to take back.
      if ((await api.get(key, how)) === undefined) throw new NotRegistered('the key was deleted');
    });
  }

  /** By the lease, not the key: whoever registered under our name since must not be taken out with us. */
  remove(trial: Trial): Promise<void> {
    return this.within(trial, async (how) => {
      const { lease } = this;
      if (lease !== undefined && !(await this.init.api.revoke(lease, how)))
        throw new NotRegistered('the lease was lost already');
    });
  }

  private within(trial: Trial, run: (how: EtcdHow) => Promise<void>): Promise<void> {
    const { timeoutMs } = trial;
    return within({ clock: this.init.clock, timeoutMs }, (signal) => run({ ...trial, signal }));
  }
}
