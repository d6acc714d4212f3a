import { identityForm, registrationForm } from './discovery-wire.js';
import type { ServiceInstance } from './instance.js';
import type { Tenure, Trial } from './kept-registration.js';
import { NotRegistered, RegistryRefusal } from './refusal.js';
import type { Session } from './session.js';

const missing = -404;

/** How an instance is kept at the nodes of a discovery registry, one of them at a time. */
export class DiscoveryTenure implements Tenure {
  constructor(
    private readonly instance: ServiceInstance,
    private readonly session: Session,
  ) {}

  put(trial: Trial): Promise<void> {
    return this.post('/discovery/register', registrationForm(this.instance), trial);
  }
  keep(trial: Trial): Promise<void> {
    return this.post('/discovery/renew', identityForm(this.instance), trial);
  }
  remove(trial: Trial): Promise<void> {
    return this.post('/discovery/cancel', identityForm(this.instance), trial);
  }

  private async post(path: string, form: URLSearchParams, trial: Trial): Promise<void> {
    const { session } = this;
    const { code, message } = await session.ask(session.node, { method: 'POST', path, form, ...trial });
    if (code === 0) return;
    const reason = `code ${code} ${message}`;
    throw code === missing ? new NotRegistered(reason) : new RegistryRefusal(reason);
  }
}
