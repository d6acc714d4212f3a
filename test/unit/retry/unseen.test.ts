import { createCall, type Handler, type Protocol } from 'keelson/core';
import { retry, retryBudget } from 'keelson/retry';
import { manualClock } from 'keelson/testing';
import { expect, it } from 'vitest';

interface Answer {
  readonly ok: boolean;
  readonly seen: boolean;
}

const protocol: Protocol<string, Answer> = {
  classify: (answer) => (answer?.ok ? 'success' : 'failure'),
  unseen: ({ seen }) => !seen,
};

/** Gives these answers in turn, and counts. */
function answering(answers: Answer[]) {
  const asked: number[] = [];
  const handler: Handler<string, Answer> = (_, { attempt }) => {
    asked.push(attempt.number);
    return Promise.resolve(answers[asked.length - 1] as Answer);
  };
  return { asked, handler };
}

const failed = { ok: false, seen: true };
const unseen = { ok: false, seen: false };
const good = { ok: true, seen: true };

it.each([
  ['unseen, may not be repeated', [unseen, good], false, 2],
  ['seen, may not be repeated', [failed, good], false, 1],
  ['seen, may be repeated', [failed, good], true, 2],
  ['unseen, then seen, may not be repeated', [unseen, failed, good], false, 2],
  ['unseen for ever', [unseen, unseen, unseen, unseen], false, 3],
])('%s: tries', async (_, answers, idempotent, tries) => {
  const { asked, handler } = answering(answers);
  const clock = manualClock();
  const again = retry<string, Answer>({
    protocol,
    clock,
    attempts: 3,
    baseMs: 0,
    budget: retryBudget({ minPerSecond: 100 }),
  })(handler);
  const call = createCall({ side: 'client', service: 'a', operation: 'b', idempotent });
  await again('request', call);
  expect(asked).toHaveLength(tries);
});
