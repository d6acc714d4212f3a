import { evidence, sre, sreKratosV2, threshold } from 'keelson/breaker';
import { cockatiel } from './peers/cockatiel.mjs';
import { envoy } from './peers/envoy.mjs';
import { goZero } from './peers/go-zero.mjs';
import { googleSre } from './peers/google-sre.mjs';
import { opossum } from './peers/opossum.mjs';

/** @typedef {(random: () => number) => import('keelson/core').Gate} Make */

/** All with their defaults, or with the numbers of their documentation where they have none. @type {Record<string, Make>} */
export const breakers = {
  evidence: (random) => evidence({ random }),
  sre: (random) => sre({ random }),
  threshold: (random) => threshold({ random }),
  'kratos SRE': (random) => sre({ ...sreKratosV2, random }),
  'Google SRE': googleSre,
  'go-zero': goZero,
  opossum,
  cockatiel,
  'Envoy 5 in a row': envoy,
};
