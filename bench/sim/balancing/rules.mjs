import {
  inflightMeter,
  kratosV2,
  kratosV3,
  leastLoad,
  p2c,
  peakEwma,
  responseTime,
  roundRobin,
  standardBalancer,
  weightedRandom,
} from 'keelson/balancer';
import { oracles } from './oracles.mjs';
import { roundRobin as inTurn, random } from './peers/blind.mjs';
import { c3 } from './peers/c3.mjs';
import { goZero } from './peers/go-zero.mjs';
import { jiq } from './peers/jiq.mjs';
import { kratosV3Uncached, kratosV2 as v2, kratosV3 as v3 } from './peers/kratos.mjs';
import { leastOfAll, leastRequest } from './peers/least-request.mjs';
import { finagle, linkerd } from './peers/peak-ewma.mjs';
import { prequal84, prequalInflight } from './peers/prequal.mjs';

/** @typedef {import('./cell.mjs').Rule} Rule */

/** As shipped; nothing is told to them but the time and their random numbers. @type {readonly Omit<Rule, 'kind'>[]} */
const shipped = [
  { name: 'roundRobin', lookOnly: true, make: () => roundRobin() },
  { name: 'weightedRandom', lookOnly: true, make: (streams) => weightedRandom({ random: streams('pick') }) },
  {
    name: 'p2c inflight',
    lookOnly: true,
    make: (streams) =>
      p2c({
        meter: inflightMeter(),
        toleranceRatio: 0,
        forcePickMs: Number.POSITIVE_INFINITY,
        random: streams('pick'),
      }),
  },
  { name: 'p2c kratosV2', make: (streams) => p2c({ ...kratosV2, random: streams('pick') }) },
  { name: 'p2c kratosV3', make: (streams) => p2c({ ...kratosV3, random: streams('pick') }) },
  { name: 'p2c peakEwma', make: (streams) => p2c({ meter: peakEwma(), random: streams('pick') }) },
  { name: 'p2c responseTime', make: (streams) => p2c({ random: streams('pick') }) },
  {
    name: 'leastLoad responseTime',
    make: (streams) => standardBalancer({ meter: responseTime(), random: streams('pick') }),
  },
  { name: 'leastLoad', make: (streams) => leastLoad({ random: streams('pick') }) },
  { name: 'standardBalancer', make: (streams) => standardBalancer({ random: streams('pick') }) },
];

/** @type {readonly Rule[]} */
const peers = [
  inTurn,
  random,
  leastRequest,
  leastOfAll,
  v2,
  v3,
  kratosV3Uncached,
  goZero,
  finagle,
  linkerd,
  c3,
  prequal84,
  prequalInflight,
  jiq,
];

/** @type {readonly Rule[]} */
export const rules = [
  ...peers,
  ...shipped.map((rule) => ({ ...rule, kind: /** @type {const} */ ('shipped') })),
  ...oracles,
];
