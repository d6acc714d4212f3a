import http from 'node:http';
import { seededRandom } from 'keelson/testing';
import { quantile } from './attempt-log.mjs';

/**
 * Sends requests at their times, whether or not earlier ones were answered, as users do. A latency counts from the
 * time at which the request was due, so that a stall is charged to every request that it delayed.
 */
export function openLoop({ url, rps, seconds, seed }) {
  const random = seededRandom(seed);
  const agent = new http.Agent({ keepAlive: true });
  const latencies = [];
  const counts = { sent: 0, ok: 0, failed: 0 };
  let unfinished = 0;
  let stopped = false;
  let finish;
  const done = new Promise((resolve) => {
    finish = resolve;
  });
  const start = performance.now();
  const end = start + seconds * 1000;
  let due = start;

  function settle(dueAt, ok) {
    latencies.push(performance.now() - dueAt);
    counts[ok ? 'ok' : 'failed']++;
    unfinished--;
    if (stopped && unfinished === 0) conclude();
  }
  function send(dueAt) {
    counts.sent++;
    unfinished++;
    let answered = false;
    const once = (ok) => {
      if (answered) return;
      answered = true;
      settle(dueAt, ok);
    };
    const req = http.get(`${url}/orders/${counts.sent}`, { agent, timeout: 5000 }, (res) => {
      res.resume();
      res.on('end', () => once(res.statusCode === 200));
      res.on('error', () => once(false));
    });
    req.on('timeout', () => req.destroy(new Error('no answer for 5 s')));
    req.on('error', () => once(false));
  }
  function conclude() {
    agent.destroy();
    const sorted = latencies.sort((a, b) => a - b);
    finish({
      ...counts,
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
