import { dispatchQueue as shipped } from 'keelson/limiter';

/** @typedef {import('../call.mjs').Call} Call */

/**
 * The queue takes calls as layers of a stack hand them on, without a promise between them; in virtual time nobody would
 * see one settle. The package does not show that way, and a test is of the sources.
 */
const index =
  process.env.VITEST === undefined
    ? import.meta.resolve('keelson/limiter')
    : new URL('../../../../src/limiter/index.ts', import.meta.url).href;
const ending = index.slice(index.lastIndexOf('.'));
const { direct, startOf } = await import(new URL(`../core/receiver${ending}`, index).href);

const nothing = () => undefined;

/** A call as a stack has it; its client tells no deadline, it just goes. @param {Call} call */
function inbound({ operation, key, priority }) {
  /** @type {() => void} */
  let abort = nothing;
  const cancel = {
    aborted: false,
    reason: 'gone',
    onAbort(/** @type {() => void} */ run) {
      abort = run;
      return () => {
        abort = nothing;
      };
    },
  };
  return {
    side: 'server',
    service: 'simulated',
    operation,
    key,
    priority,
    deadline: Number.POSITIVE_INFINITY,
    values: { get: nothing, set: nothing },
    cancel,
    leave() {
      cancel.aborted = true;
      abort();
    },
  };
}

/** The shipped `dispatchQueue()` with its defaults. @type {import('../run.mjs').Contender} */
export const dispatchQueue = {
  id: 'dispatch-queue',
  name: 'dispatchQueue',
  make({ thread, clock }) {
    const queue = shipped({
      clock,
      turn(run) {
        thread.immediate({
          step() {
            run();
            return -1;
          },
        });
      },
      busyMs: () => thread.activeMs,
      events: () => thread.events,
    });
    const handler = direct(
      (/** @type {Call} */ call, /** @type {unknown} */ _ask, /** @type {any} */ outer) => {
        call.mark.started = true;
        call.mark.whenDone = () => outer.answered(undefined);
        call.runOn();
      },
      clock,
    );
    const start = startOf(queue.middleware()(handler));
    return {
      arrive(call, now) {
        const mark = { ask: inbound(call), judging: true, refused: false, started: false, whenDone: nothing };
        call.mark = mark;
        start(call, mark.ask, {
          askedAt: now,
          answered: nothing,
          failed() {
            mark.refused = true;
            if (mark.judging) return;
            call.drop();
            call.runOn();
          },
        });
        mark.judging = false;
        if (mark.refused) return 'refuse';
        // The connection is closed when its client gives up; the loop finds that as it finds requests.
        if (!mark.started) {
          const closed = () => {
            if (!mark.started && !mark.refused) mark.ask.leave();
            return -1;
          };
          thread.world.at(call.deadlineAt, () => thread.ready({ step: closed }));
        }
        return 'wait';
      },
      ended: (call) => call.mark.whenDone(),
      admitRatio: (now) => queue.snapshot(now).admitRatio,
    };
  },
};
