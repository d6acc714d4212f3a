import type { Clock } from '../core/clock.js';
import type { Bus } from '../core/events.js';
import type { Random } from '../core/random.js';
import { discovery } from '../discovery/discovery.js';
import type { Registry } from '../discovery/registrar.js';
import type { Resolver } from '../discovery/resolver.js';
import { staticEndpoints } from '../discovery/static.js';
import type { AppOptions } from './app-options.js';

/** Where an app finds services and registers itself. */
export interface Sources {
  /** `undefined` without a registry. */
  readonly registry: Registry | undefined;
  /** @throws TypeError for a service that neither has addresses nor a registry to be found in */
  resolverOf(service: string): Resolver;
  /** Closes what the app made itself. */
  close(): Promise<void>;
}

function isRegistry(given: AppOptions['registry']): given is Registry {
  return typeof given === 'object' && 'watch' in given && 'register' in given;
}

function registryOf(options: AppOptions, bus: Bus, clock: Clock, random: Random): Registry | undefined {
  const given = options.registry;
  if (given === undefined || isRegistry(given)) return given;
  const nodes = typeof given === 'string' ? [given] : given;
  const { zone, env, region, service } = options;
  return discovery({
    nodes,
    zone,
    env,
    region,
    clock,
    random,
    onEvent: (event) => {
      if (event.type === 'refused' || event.type === 'fault') {
        const about = event.service ?? service;
        bus.emit('fault', {
          where: 'registry',
          error: new Error(`${about}: ${event.type}, ${event.reason ?? ''}`),
        });
      }
    },
  });
}

/** Reads `registry` and `endpoints`. */
export function sourcesOf(options: AppOptions, bus: Bus, clock: Clock, random: Random): Sources {
  const registry = registryOf(options, bus, clock, random);
  const { endpoints = {} } = options;
  const fixed = staticEndpoints(endpoints);
  return {
    registry,
    resolverOf: (service) => {
      if (Object.hasOwn(endpoints, service)) return fixed;
      if (registry) return registry;
      throw new TypeError(
        `app "${options.service}" cannot find "${service}": createApp has neither a registry nor endpoints.${service}`,
      );
    },
    close: async () => {
      if (!isRegistry(options.registry)) await registry?.close();
    },
  };
}
