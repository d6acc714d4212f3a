import { contenders } from './contenders.mjs';

/**
 * @typedef {object} Scene who calls which server
 * @property {string} id
 * @property {string} about
 * @property {'http' | 'grpc'} wire
 * @property {import('./tally.mjs').Target['callers']} callers
 * @property {number} cpuMs of a call
 * @property {number} waitMs of a call, after that and without CPU
 * @property {readonly number[]} factors of the capacity
 * @property {readonly string[]} [contenders] not all
 */
/**
 * @typedef {object} Plan
 * @property {number} rounds
 * @property {number} warmMs of each server, in a closed loop
 * @property {number} leadMs of the load, before it counts
 * @property {number} forMs
 * @property {readonly Scene[]} scenes
 * @property {(scene: Scene) => readonly string[]} contenders
 */

/** How long callers wait. */
export const deadlineMs = 500;

const sync = { about: '3 ms of CPU', cpuMs: 3, waitMs: 0 };
const async = { about: '3 ms of CPU, then 5 ms of waiting', cpuMs: 3, waitMs: 5 };

/** @type {Record<string, Pick<Scene, 'about' | 'wire' | 'callers' | 'factors'>>} */
const places = {
  http: { about: 'a fleet of 30 over HTTP/1', wire: 'http', callers: 'fleet', factors: [0.5, 1, 2, 5, 10] },
  proxy: { about: 'a proxy with 1000 connections', wire: 'http', callers: 'proxy', factors: [2, 5, 10] },
  grpc: { about: 'gRPC on 8 connections', wire: 'grpc', callers: 'fleet', factors: [0.5, 2, 5] },
};

/** Both ends are keelson's: what the callers hold back. A real client is dear, so calls are as big as elsewhere. @type {readonly Scene[]} */
const throttled = /** @type {const} */ (['unthrottled', 'governed']).map((callers) => ({
  ...sync,
  id: `fetch, ${callers}`,
  about: `10 callers of keelson ${callers === 'governed' ? 'with' : 'without'} their breakers; ${sync.about}`,
  wire: 'http',
  callers,
  factors: [2, 10],
  contenders: ['keelson'],
}));

/** @type {readonly Scene[]} */
const scenes = Object.entries(places).flatMap(([place, from]) =>
  Object.entries({ sync, async }).map(([kind, work]) => ({
    ...from,
    ...work,
    id: `${place}, ${kind}`,
    about: `${from.about}; ${work.about}`,
  })),
);

/** @type {Plan} */
export const full = {
  rounds: 3,
  warmMs: 600,
  // At twice the capacity a queue that nobody bounds takes a second to outgrow the patience of callers.
  leadMs: 2000,
  forMs: 1500,
  scenes: [...scenes, ...throttled],
  contenders: (scene) => scene.contenders ?? contenders.filter((one) => one[scene.wire]).map(({ id }) => id),
};

/** @type {Plan} */
export const quickly = {
  rounds: 1,
  warmMs: 200,
  leadMs: 1200,
  forMs: 700,
  scenes: scenes
    .filter(({ id }) => ['http, async', 'proxy, sync', 'grpc, sync'].includes(id))
    .map((scene) => ({ ...scene, factors: [2] })),
  contenders: ({ wire }) =>
    contenders
      .filter((one) => one[wire] && ['none', 'under-pressure.tuned', 'keelson'].includes(one.id))
      .map(({ id }) => id),
};
