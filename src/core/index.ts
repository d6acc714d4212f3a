/**
 * The nouns: handler, call, gate, guard, outcome, errors, clock. No dependency, no `node:` module.
 *
 * @module
 */
export {
  type AcceptMetadataOptions,
  acceptMetadata,
  acceptMetadataDefaults,
} from './accept-metadata.js';
export { type AttemptOptions, attempt } from './attempt.js';
export {
  type Attempt,
  type Call,
  type CallChange,
  type CallInit,
  type ComparedLoads,
  createCall,
  derive,
  fork,
  nameOperation,
  type PickEvidence,
  routeOperation,
} from './call.js';
export { type Cancellation, type CancelSource, cancelledBy, cancelSource, uncancelled } from './cancel.js';
export { type Carrier, carrier } from './carrier.js';
export { type Clock, systemClock, type Timer } from './clock.js';
export { currentCall, runWithCall, runWithoutCall } from './current.js';
export { type EarlyRefuser, isEarlyRefuser } from './early-refusal.js';
export type { Endpoint } from './endpoint.js';
export {
  GovernanceError,
  type GovernanceErrorDetails,
  isGovernanceError,
  type RefusalAnswer,
  type RejectionCode,
  type RejectionStatus,
  refusal,
  rejections,
} from './errors.js';
export type {
  BreakerEvent,
  Bus,
  EjectionEvent,
  FaultEvent,
  GovernanceEvents,
  InstancesEvent,
  LifecycleEvent,
  MetadataEvent,
  RegistryEvent,
  RejectedEvent,
  ResolverEvent,
  SheddingEvent,
} from './events.js';
export { type ForwardMetadataOptions, forwardMetadata, forwardMetadataDefaults } from './forward-metadata.js';
export { type Ask, allOf, type Gate, type Permit } from './gate.js';
export { type GuardOptions, guard } from './guard.js';
export { compose, type Handler, type Middleware } from './handler.js';
export { handlerError } from './handler-error.js';
export { type KeyedGate, type KeyedOptions, type KeyedSettings, keyed, keyedDefaults } from './keyed.js';
export { type Metadata, metadataOf } from './metadata.js';
export { type MetadataCodec, type MetadataKey, metadataKey, percentEncoded } from './metadata-key.js';
export type { MetadataDrop } from './metadata-limits.js';
export type { OperationMatch } from './operation-pattern.js';
export type { Feedback, Outcome, ServerLoad } from './outcome.js';
export { hedgePreference, tiedPreference, timeoutPreference } from './preferences.js';
export type { Protocol } from './protocol.js';
export { type Random, systemRandom } from './random.js';
export {
  notedResponseFlags,
  noteResponseFlag,
  type ResponseFlag,
  responseFlagOf,
  responseFlags,
} from './response-flag.js';
export {
  neverAgain,
  noRetry,
  noteRetriableAbove,
  noteRetriedBelow,
  retriedBelow,
  retryHeader,
} from './retried-below.js';
export { type SelectorRule, selector } from './selector.js';
export { nextNotice, noticeNext, noticeStart, startNotice } from './start-notice.js';
export {
  formatTied,
  parseTied,
  parseTiedState,
  type TiedControl,
  type TiedCopy,
  type TiedMark,
  type TiedState,
  tiedCopies,
  tiedHeader,
} from './tied-copy.js';
export { trustedPeer } from './trust.js';
export { type CallKey, type CallValues, callKey, callValues } from './values.js';
export type { Connection, Wire } from './wire.js';
