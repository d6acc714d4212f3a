/**
 * Why a figure falls short of its goal, and what was tried. By what `npm run bench:report` calls the goal: with what it was
 * judged on in brackets, or without, for all that it was judged on. The page shows it only where the goal falls short, and says
 * loudly where there is none.
 *
 * Reasons of principle; the figures are in the tables.
 *
 * @typedef {{ readonly why: string, readonly tried: string }} Shortfall
 */

/** @type {Shortfall} */
const takenBackThroughTheClient = {
  why: `The copy that is not needed is taken back by the client, which hears a hop after the start and is heard a hop later. Where
lines are short, as at 0.7 of the capacity, that round trip is most of what there is to win, and a copy that starts meanwhile takes
time from others.`,
  tried: `Telling who is next when the call ahead of it starts, so that the other copy is back in time (in; the rows "told at the start" are
without). Servers that cancel each other without the client (rows "tied by servers"; built once, with checks that nobody is led to connect
anywhere) close three to seven points more at 0.7, for connections between all servers and a median in bursts that was up to 15 % above
that of least request.`,
};

/** @type {Shortfall} */
const claimsCostARoundTrip = {
  why: `A call that must not run twice is not begun by the second server before the client has agreed: its place at the head of the line
comes to nothing for a round trip, and at the first server it may begin in just that time.`,
  tried: `Asking when the call ahead starts instead of at one's own turn (in; the rows "told at the start" are without). Calls that may run
twice are tied without claims.`,
};

/** @type {Shortfall} */
const startedInAPause = {
  why: `A call that a server has begun is its own: when that server then pauses, the other copy has been taken back. The last
thousandth are calls that met a pause so, and only a second run would save them.`,
  tried: `Hedging instead of tying (rows "hedged"), which does run calls twice.`,
};

/** @type {Shortfall} */
const blindBetweenAnswers = {
  why: `A client that sends no further messages hears of a server by its own answers alone. Thirty clients that each hear of a server once
in some ten milliseconds know a line that is worked off in less only as an average, and where lines are short (0.7 of the capacity,
several threads) the ones that differ are gone before anybody can act on them.`,
  tried: `Latency as the meter (responseTime), C3's rule, draws of two and five instead of the least of all, weights of 4 to 30 for one's own
calls, faster and slower forgetting, reports shared by all clients at once, by which they herded. A second copy takes the rest.`,
};

/** @type {Shortfall} */
const unknownLengths = {
  why: `The line is measured in the mean of what calls take. Of those ahead nobody knows which are long: a line of thirteen calls of
exponential length that take 40 ms on average takes 70 once in a hundred, and a call's own time comes on top. At ten times the
load reading and refusing takes up to a quarter of the thread as well, and goes first.`,
  tried: `The last come first (facebook-lifo in the tables) has a shorter p99, and lets the other end of the line wait in vain.`,
};

/** @type {Shortfall} */
const gateHasNoLine = {
  why: `A gate decides when a call comes, and the loop decides when it runs: after each await what was let in runs in the order of the
loop. It has no line in which calls that matter could go ahead, or that could be kept short when refusing takes its part of the
thread.`,
  tried: `A higher budget for calls that matter (in). What has a line is dispatchQueue, the default.`,
};

/** @type {Shortfall} */
const gateSeesTheThread = {
  why: `bbr refuses while the thread is overloaded, and here it is not: what calls wait for is elsewhere, no signal of this process shows
it, and without a refusal the line elsewhere is never worked off.`,
  tried: `It is kratos' law, and stays. dispatchQueue finds such a limit by itself; gradient() and vegas() go by latency.`,
};

/** @type {Shortfall} */
const hiddenLimit = {
  why: `What the calls wait for, ten places elsewhere that have become ten times slower, is no signal of this process. That its calls take longer
and are not more a second shows after two of their rounds, which now take 200 ms each; whatever was begun until then is in the line
elsewhere and late, and the limit is then found by trying, a round at a time.`,
  tried: `Going by latency alone: gradient() and vegas(), whose figures are in the table.`,
};

/** @type {Shortfall} */
const bareAnswersSome = {
  why: `At twice the load a server that refuses nobody still answers a fifth of what it can in time: its line grows for a while before it is
longer than callers wait. Ten times a fifth is more than all that it can, so the ratio is bounded by what is left to win.`,
  tried: `What is answered in time for each second of CPU is near that of the bare server that is not hurried (line in the pictures); there is
not more to be had.`,
};

/** @type {Shortfall} */
const bareShedsForNothing = {
  why: `Node takes in one new connection a turn of its loop, so callers that find no kept one wait in the kernel and give up there, at no cost to
the process: that is a limiter, and a cheaper one than any that reads a request to refuse it.`,
  tried: `Refusing below ServerResponse, which costs less than a 503 of node:http (section on real servers). Behind a proxy, on kept connections,
nobody sheds for nothing.`,
};

/** @type {Shortfall} */
const underPressureTuned = {
  why: `With its limits set for just this handler, by hand, under-pressure keeps the thread as full as the queue does; what is served per second of CPU is
then the thread's capacity for both. It refuses by samples of the past, so what it lets in waits longer, and calls that matter are
refused alike: that is not in this figure.`,
  tried: `Nothing: both are near the bare server's capacity. With the settings of its README it does a fraction.`,
};

/** @type {Shortfall} */
const bareIsTooCheap = {
  why: `The bare call is cheap in itself: 5 % of a bare request of node:http are about one microsecond, less than one AsyncLocalStorage run and the
objects that tell a policy of a call. What governance takes is a constant, of which a handler or a response of any size makes a small part:
on the machine of this page 5 µs at a server of node:http that is busy and 20 at an idle one, 41 to 76 at a gRPC server, 68 to 95 for the
platform's fetch. An AbortSignal, which a deadline needs, and two headers alone cost fetch a fifth to two thirds of that, as runs differ.`,
  tried: `One promise for all layers, two readings of the clock a call, texts of load headers kept as long as they are the same, gates without
lists (all in); each is measured by its instructions in the section on cost.`,
};

/** @type {Shortfall} */
const objectsOfACall = {
  why: `One async function around a bare await is about 900 instructions and 380 bytes by itself, as V8 makes them; the pick, which is the
larger part of the rest, is judged on its own. What is left is a permit for each policy that has to be told once how the call ended: one
object for several would tie policies together that users put together.`,
  tried: `One promise for all layers that follow each other (in), two readings of the clock a call (in), one object for lease, meter and ejection (in),
permits of one shape with fixed fields (in).`,
};

/** @type {Shortfall} */
const exactMinimum = {
  why: `A pick and its end run through more code than V8 puts into one compiled unit, and each unit costs some 45 instructions to enter and leave, with
numbers checked and boxed on the way; with a meter that does nothing and no ejection some 480 are left. The least of all endpoints is kept
exactly besides, by a tournament whose path to the root is played again at each pick and each end.`,
  tried: `One object per pick in place of four, time slices that all endpoints share, dice of whole numbers, two levels of the tournament at a time, a short
path for the usual pick (all in). Draws of two and of five, and a memory of the best: cheaper, and at 200 endpoints the slowest
hundredth takes half as long again.`,
};

/** @type {Shortfall} */
const strangersAreRandom = {
  why: `Clients that know nothing of each other come at random whatever each of them does: at the rate at which a callee that lets five wait sheds one
call of eleven, it idles for want of calls a twentieth of the time. One client alone spaces its calls, and uses all of it.`,
  tried: `More calls at once after a pause (in: 5 instead of 3), sending more where fewer are shed than k allows (in). A larger overloadK uses more,
and wastes as much more.`,
};

/** @type {Shortfall} */
const nobodyHasRoom = {
  why: `Above the capacity lines grow wherever a call stands, so a second copy wins nothing, and what it costs both ends, some hundredths of a call
of 3 ms, makes them grow nearly twice as fast. Nobody sheds in this simulation; a server with a limit does so long before.`,
  tried: `No second copies where all that report are busy for more than 92 to 99 % of the time: they report 95 % here, which bursts at 0.9 of the
capacity do as well, so either nothing is changed or the slowest thousandth in pauses takes up to a third longer.`,
};

/** @type {Shortfall} */
const jammedByChance = {
  why: `Below half of the load a second copy is sent only beside a server whose line such a load does not explain: it stood still for a moment, or
chance has made a line of several calls, and from outside the two look the same. That is three or four of a thousand calls.`,
  tried: `Nothing more: without them a server that stands still keeps the calls that it has.`,
};

/** @type {Readonly<Record<string, Shortfall>>} */
export const shortfalls = {
  'balancing: gap closed at p99, one copy, >= 54 %': blindBetweenAnswers,
  'balancing: gap closed at p99, tied, >= 85 %': takenBackThroughTheClient,
  'balancing: gap closed at p99, tied with claims, >= 85 %': claimsCostARoundTrip,
  'balancing: gap closed at p99, tied with claims, >= 54 %': claimsCostARoundTrip,
  'balancing: p999 in pauses, tied, <= 60 ms': startedInAPause,
  'balancing: second copies below half load, tied, none': jammedByChance,
  'balancing: p50 over that of least request, tied, <= 1': nobodyHasRoom,
  'balancing: p50 over that of least request, tied with claims, <= 1': nobodyHasRoom,

  'limiting: p99 of those let in, in budgets of 40 ms (dispatch-queue)': unknownLengths,
  'limiting: p99 of those let in, in budgets of 40 ms (bbr)': gateHasNoLine,
  'limiting: important calls served at 2x (bbr)': gateHasNoLine,
  'limiting: kept back: good work in parts of the limit (bbr)': gateSeesTheThread,
  'limiting: kept back: served afterwards (bbr)': gateSeesTheThread,
  'limiting: kept back: good work in parts of the limit (dispatch-queue)': hiddenLimit,

  'breaking: sheds, and says why, 20 clients: used >= 0.95 of what it does for those who send all (evidence)':
    strangersAreRandom,

  'overload: in time for each second of CPU, at least 10 times no limiter': bareAnswersSome,
  'overload: in time for each second of CPU, at least 10 times no limiter (http, sync, 2×)':
    bareShedsForNothing,
  'overload: in time for each second of CPU, at least 10 times no limiter (http, sync, 5×)':
    bareShedsForNothing,
  'overload: in time for each second of CPU, at least 10 times no limiter (http, async, 2×)':
    bareShedsForNothing,
  'overload: in time for each second of CPU, at least 10 times no limiter (http, async, 5×)':
    bareShedsForNothing,
  'overload: in time for each second of CPU, at least 1.5 times under-pressure (http, sync, 2×)':
    bareShedsForNothing,
  'overload: in time for each second of CPU, at least 1.5 times under-pressure (http, sync, 5×)':
    bareShedsForNothing,
  'overload: in time for each second of CPU, at least 1.5 times under-pressure (http, async, 2×)':
    bareShedsForNothing,
  'overload: in time for each second of CPU, at least 1.5 times under-pressure (http, async, 5×)':
    bareShedsForNothing,
  'overload: in time for each second of CPU, at least 1.5 times under-pressure, tuned': underPressureTuned,

  'adapters: a governed client takes at most 5 % more CPU time than the bare one': bareIsTooCheap,
  'adapters: a governed server takes at most 5 % more CPU time than the bare one': bareIsTooCheap,

  'cost: breaker, limit and pick over a bare await add at most 1600 instructions': objectsOfACall,
  'cost: breaker, limit and pick over a bare await add at most 200 bytes': objectsOfACall,
  'cost: pick and done among 30 endpoints take at most 400 instructions': exactMinimum,
  'cost: pick and done among 1000 endpoints take at most 600 instructions': exactMinimum,
};

/**
 * @param {Readonly<Record<string, Shortfall>>} reasons
 * @param {{ readonly id: string, readonly goalId: string }} judgement
 * @returns {Shortfall | undefined}
 */
export const reasonFor = (reasons, { id, goalId }) => reasons[id] ?? reasons[goalId];
