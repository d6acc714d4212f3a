/**
 * Breakers: `evidence` opens on failures in a row at any rate, `sre` throttles what fails in proportion, `threshold` opens
 * and closes. All are gates.
 *
 * @module
 */
export {
  type Breaker,
  type BreakerMode,
  type BreakerSnapshot,
  type BreakerState,
  breakerModes,
  type TransitionHook,
} from './breaker.js';
export { evidence } from './evidence.js';
export { type EvidenceOptions, type EvidenceSettings, evidenceDefaults } from './evidence-options.js';
export { type SreOptions, type SreSettings, sre, sreDefaults } from './sre.js';
export { sreKratosV1, sreKratosV2, sreKratosV3 } from './sre-presets.js';
export { threshold } from './threshold.js';
export { type ThresholdOptions, type ThresholdSettings, thresholdDefaults } from './threshold-options.js';
