import type { Clock } from '../core/clock.js';
import type { Bus } from '../core/events.js';
import { wrongKind } from '../core/options.js';
import type { Random } from '../core/random.js';
import { discovery } from '../discovery/discovery.js';
import type { Registry } from '../discovery/registrar.js';
import type { Resolver } from '../discovery/resolver.js';
import { staticEndpoints } from '../discovery/static.js';
import type { AppOptions } from './app-options.js';
import { warnOfLostRegistration } from './warnings.js';

/** Where an app finds services and registers itself. */
export interface Sources {
  /** `undefined` without a registry, and with one that only resolves. */
  readonly registrar: Registry | undefined;
  /** @throws TypeError for a service that neither has addresses nor a registry to be found in */
  resolverOf(service: string): Resolver;
  /** Closes what the app made itself. */
  close(): Promise<void>;
}

/** What the sources of one app are made with. */
export interface SourcesParts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
}

function isResolver(given: AppOptions['registry']): given is Registry | Resolver {
  return typeof given === 'object' && given !== null && 'watch' in given;
}

function isRegistry(given: Registry | Resolver): given is Registry {
  return 'register' in given;
}

function nodesOf(given: string | readonly string[]): readonly string[] {
  if (typeof given === 'string') return [given];
  if (Array.isArray(given)) return given;
  throw wrongKind('createApp.registry', 'URLs, a registry or a resolver', given);
}

function discoveryOf(
  nodes: readonly string[],
  options: AppOptions,
  { bus, clock, random }: SourcesParts,
): Registry {
  const { zone, env, region, service } = options;
  let warned = false;
  return discovery({
    nodes,
    zone,
    env,
    region,
    clock,
    random,
    onEvent: (event) => {
      const { type, reason, service: about = service } = event;
      // The stacks tell these themselves, of every kind of resolver.
      if (type === 'stale' || type === 'fresh') return;
      if (type === 'lost' && !warned && !bus.has('registry')) {
        warned = true;
        warnOfLostRegistration(about, reason);
      }
      if (type !== 'fault') bus.emit('registry', { service: about, type, reason });
      if (type !== 'refused' && type !== 'fault') return;
      const error = new Error(`${about}: ${type}, ${reason ?? 'no reason given'}`);
      bus.emit('fault', { where: 'registry', error });
    },
  });
}

/**
 * Reads `registry` and `endpoints`.
 *
 * @throws TypeError for addresses that cannot be understood
 */
export function sourcesOf(options: AppOptions, parts: SourcesParts): Sources {
  const given = options.registry;
  const own =
    given === undefined || isResolver(given) ? undefined : discoveryOf(nodesOf(given), options, parts);
  const resolver = own ?? (isResolver(given) ? given : undefined);
  const { endpoints = {} } = options;
  const fixed = staticEndpoints(endpoints);
  return {
    registrar: own ?? (isResolver(given) && isRegistry(given) ? given : undefined),
    resolverOf: (service) => {
      if (typeof service !== 'string' || service === '')
        throw new TypeError(
          `app "${options.service}": a service to call needs a name, got ${String(service)}`,
        );
      if (Object.hasOwn(endpoints, service)) return fixed;
      if (resolver) return resolver;
      throw new TypeError(
        `app "${options.service}" cannot find "${service}": createApp has neither a registry nor endpoints.${service}`,
      );
    },
    close: async () => {
      await own?.close();
    },
  };
}
