import type { UnaryResponse } from '@connectrpc/connect';
import { Attempt, type Sending } from './attempt.js';
import type { UnaryOutgoing } from './connect-request.js';

/** A try of a call of one message and one answer; it is over when the answer is there. */
export class UnaryAttempt extends Attempt<UnaryOutgoing> {
  response: UnaryResponse | undefined = undefined;
  protected readonly resendable = true;

  protected async send({ signal, timeoutMs, header }: Sending): Promise<void> {
    const { method, message, contextValues } = this.request;
    this.response = await this.transport.unary(method, signal, timeoutMs, header, message, contextValues);
    this.finish('success');
    this.answered();
  }
}
