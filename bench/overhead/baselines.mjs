import { awaited, told } from '../harness.mjs';

/** What all that is measured here wraps in the end. */
export const answer = async () => 1;

/** The same with its message, as a handler is given it. @param {unknown} _request @param {unknown} _call */
export const answerTo = async (_request, _call) => 1;

/** What everything else is compared with. @returns {import('../harness.mjs').Subject} */
export function baselines() {
  const wrapped = async () => await answer();
  return {
    title: 'Baselines',
    cases: [
      { id: 'bare', name: 'await fn()', batch: awaited(answer) },
      { id: 'wrap', name: 'await (async () => await fn())()', batch: awaited(wrapped) },
      { id: 'sync', name: 'fn(), no await', against: 'sync', batch: told(({ now }) => (now > 0 ? 1 : 0)) },
    ],
  };
}
