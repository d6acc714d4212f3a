import { antagonists } from './scenarios/antagonists.mjs';
import { autoscaling } from './scenarios/autoscaling.mjs';
import { awaiting } from './scenarios/awaiting.mjs';
import { equal } from './scenarios/equal.mjs';
import { flapping } from './scenarios/flapping.mjs';
import { manyThreads } from './scenarios/many-threads.mjs';
import { mixedJobs } from './scenarios/mixed-jobs.mjs';
import { mixedOperations } from './scenarios/mixed-operations.mjs';
import { overload } from './scenarios/overload.mjs';
import { pauses } from './scenarios/pauses.mjs';
import { pools } from './scenarios/pools.mjs';
import { recovering } from './scenarios/recovering.mjs';
import { restarts } from './scenarios/restarts.mjs';
import { severalSlow } from './scenarios/several-slow.mjs';
import { gateways, large, veryLarge } from './scenarios/sizes.mjs';
import { skewedClients } from './scenarios/skewed-clients.mjs';
import { uneven } from './scenarios/uneven.mjs';
import { weights } from './scenarios/weights.mjs';
import { wholePauses } from './scenarios/whole-pauses.mjs';
import { zones } from './scenarios/zones.mjs';

/** In the order of the table: those that constants were chosen on, then those that were kept back. @type {readonly import('./cell.mjs').Scenario[]} */
export const scenarios = [
  equal,
  uneven,
  pauses,
  antagonists,
  restarts,
  mixedJobs,
  manyThreads,
  zones,
  severalSlow,
  recovering,
  skewedClients,
  weights,
  autoscaling,
  flapping,
  overload,
  wholePauses,
  awaiting,
  pools,
  mixedOperations,
  gateways,
  large,
  veryLarge,
];
