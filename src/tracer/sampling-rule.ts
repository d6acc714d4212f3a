import { createTraceState, type TraceState } from '@opentelemetry/api';
import { criteriaOf } from '../core/operation-pattern.js';
import type { Fate } from './local-trace.js';
import type { RouteSampling, SamplingMode, SamplingSettings } from './sampling.js';
import { type Threshold, thresholdOf } from './threshold.js';

/** What is to be done with a trace, and what those that come after are told. Made once and shared. */
export interface Decision {
  /** `passed`: nothing of it is recorded, and what came in is passed on as it came. */
  readonly fate: Fate | 'passed';
  readonly state: TraceState | undefined;
  /** Whether its outcome is looked at. */
  readonly watched: boolean;
}

/** Our member of `tracestate`. */
export const ourMember = 'keelson';
/** It is not decided: who can tells by the outcome. */
export const undecided = 'tail';
/** It comes from one of our services. */
export const signature = 'own';

/** How the traces of some routes are chosen, ready for use. */
export interface SamplingRule {
  /** Which routes; empty for all that have no rule of their own. */
  readonly pattern: string;
  readonly mode: SamplingMode;
  readonly perSecond: number;
  /** `undefined`: none is kept. */
  readonly threshold: Threshold | undefined;
  /** What is done with all traces alike, in the modes that need not look at any. */
  readonly always: Decision | undefined;
  /** Kept as the mode says. */
  readonly chosen: Decision;
  /** Kept for another reason, so that nobody knows how many it stands for. */
  readonly forced: Decision;
  readonly open: Decision;
  readonly dropped: Decision;
}

/** @param members - those that are `undefined` are left out */
function stateOf(members: readonly (string | undefined)[]): TraceState | undefined {
  const list = members.filter((member) => member !== undefined).join(',');
  return list === '' ? undefined : createTraceState(list);
}

function ruleOf(
  pattern: string,
  { mode, ratio, perSecond }: Required<RouteSampling>,
  signs: boolean,
): SamplingRule {
  const threshold = thresholdOf(mode === 'always' ? 1 : (ratio ?? 0));
  const counted = mode === 'always' || mode === 'ratio';
  const probability = counted && threshold !== undefined ? `ot=th:${threshold.th}` : undefined;
  const signed = signs ? `${ourMember}=${signature}` : undefined;
  const watched = mode === 'tail';
  const chosen: Decision = { fate: 'kept', state: stateOf([signed, probability]), watched };
  const dropped: Decision = {
    fate: mode === 'off' ? 'passed' : 'dropped',
    state: stateOf([signed]),
    watched,
  };
  return {
    pattern,
    mode,
    perSecond: perSecond ?? 1,
    threshold,
    always: mode === 'always' ? chosen : mode === 'off' ? dropped : undefined,
    chosen,
    forced: { fate: 'kept', state: stateOf([signed]), watched },
    open: { fate: 'open', state: stateOf([`${ourMember}=${undecided}`]), watched },
    dropped,
  };
}

/** Finds the rule for a route; each is made once. */
export function rulesOf(settings: SamplingSettings): (name: string) => SamplingRule {
  const signs = settings.remote === 'restartExternal';
  const { mode, ratio, perSecond } = settings;
  const usual = ruleOf('', { mode, ratio, perSecond }, signs);
  const special = Object.entries(settings.routes).map(([pattern, given]) => ({
    fits: criteriaOf('sampling.routes', pattern).byName,
    rule: ruleOf(
      pattern,
      { mode: given.mode, ratio: given.ratio ?? ratio, perSecond: given.perSecond ?? perSecond },
      signs,
    ),
  }));
  return (name) => special.find(({ fits }) => fits(name))?.rule ?? usual;
}
