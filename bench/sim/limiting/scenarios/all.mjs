import { bursts } from './bursts.mjs';
import { downstream } from './downstream.mjs';
import { greedy } from './greedy.mjs';
import { heavyTail } from './heavy-tail.mjs';
import { mixed } from './mixed.mjs';
import { multiplexed } from './multiplexed.mjs';
import { pauses } from './pauses.mjs';
import { sawtooth } from './sawtooth.mjs';
import { steady } from './steady.mjs';
import { step } from './step.mjs';
import { throttled } from './throttled.mjs';
import { throttlingClients } from './throttling-clients.mjs';
import { uploads } from './uploads.mjs';

/** @typedef {import('./shape.mjs').Style} Style */
/** @type {readonly Style[]} */
export const styles = ['async', 'sync'];
export const loads = /** @type {const} */ ([2, 5, 10]);

/** The constants were chosen on these. @param {import('./shape.mjs').Lengths} lengths */
export const steps = (lengths) => [
  ...styles.flatMap((style) => loads.map((load) => step(style, load, lengths))),
  ...loads.map((load) => step('waiting', load, lengths)),
];

/** Refusals for nothing, against M/M/1/K. @param {number} ms */
export const bearable = (ms) => styles.flatMap((style) => [0.6, 0.9].map((load) => steady(style, load, ms)));

/** Nothing was chosen on these. @param {import('./shape.mjs').Lengths} lengths */
export const keptBack = (lengths) => [
  mixed(lengths),
  heavyTail(lengths),
  downstream(lengths),
  ...styles.map((style) => throttled(style, lengths)),
  ...styles.map((style) => multiplexed(style, lengths)),
  uploads(lengths),
  bursts(lengths),
  sawtooth(lengths),
  greedy(lengths),
  ...styles.map((style) => pauses(style, lengths.hardMs)),
  ...styles.flatMap((style) =>
    /** @type {const} */ (['sre', 'evidence']).map((throttle) => throttlingClients(style, throttle, lengths)),
  ),
];
