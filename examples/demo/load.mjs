import http from 'node:http';
import { seededRandom } from 'keelson/testing';
import { quantile } from './attempt-log.mjs';
import { pulse, starvation } from './pulse.mjs';

/** @param {NodeJS.ErrnoException} error */
const reasonOf = ({ code, message }) => code ?? message;

/**
 * Sends requests at their times, whether or not earlier ones were answered, as users do. A latency counts from the
 * time at which the request was due, so that a stall is charged to every request that it delayed.
 */
export function openLoop({ url, rps, seconds, seed }) {
  const random = seededRandom(seed);
  const agent = new http.Agent({ keepAlive: true });
  const latencies = [];
  const counts = { sent: 0, ok: 0, failed: 0 };
  /** How often each: a status with the code of the refusal or error behind it, or why there was no answer. */
  const failures = {};
  const beat = pulse();
  let unfinished = 0;
  let stopped = false;
  let finish;
  const done = new Promise((resolve) => {
    finish = resolve;
  });
  const start = performance.now();
  const end = start + seconds * 1000;
  let due = start;

  function settle(dueAt, failure) {
    latencies.push(performance.now() - dueAt);
    counts[failure === undefined ? 'ok' : 'failed']++;
    if (failure !== undefined) failures[failure] = (failures[failure] ?? 0) + 1;
    unfinished--;
    if (stopped && unfinished === 0) conclude();
  }
  function send(dueAt) {
    counts.sent++;
    unfinished++;
    let answered = false;
    const once = (failure) => {
      if (answered) return;
      answered = true;
      settle(dueAt, failure);
    };
    const req = http.get(`${url}/orders/${counts.sent}`, { agent, timeout: 5000 }, (res) => {
      res.resume();
      const code = res.headers['x-demo-code'];
      const failure = code === undefined ? `${res.statusCode}` : `${res.statusCode} ${code}`;
      res.on('end', () => once(res.statusCode === 200 ? undefined : failure));
      res.on('error', (error) => once(reasonOf(error)));
    });
    req.on('timeout', () => req.destroy(new Error('no answer for 5 s')));
    req.on('error', (error) => once(reasonOf(error)));
  }
  function conclude() {
    agent.destroy();
    const sorted = latencies.sort((a, b) => a - b);
    finish({
      ...counts,
      failures,
      starvation: starvation(beat()),
      success: counts.ok / counts.sent,
      p50: quantile(sorted, 0.5),
      p99: quantile(sorted, 0.99),
    });
  }
  function pump() {
    const now = performance.now();
    while (due <= now && due < end) {
      send(due);
      // Poisson arrivals: gaps are exponential.
      due += (-Math.log(1 - random()) * 1000) / rps;
    }
    if (due < end) {
      setTimeout(pump, Math.max(0, Math.min(due - performance.now(), 50)));
      return;
    }
    stopped = true;
    if (unfinished === 0) conclude();
  }
  pump();
  return { done, progress: () => ({ ...counts, seconds: (performance.now() - start) / 1000 }) };
}
