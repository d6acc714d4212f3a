import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Attributes } from '@opentelemetry/api';
import { type Resource, resource } from '../tracer/resource.js';

/** What a user says of the process. */
export interface Identity {
  readonly service: string;
  readonly version: string | undefined;
  readonly instance: string | undefined;
  readonly attributes: Attributes;
}

/** Of the semantic conventions, whose names are used. */
const schemaUrl = 'https://opentelemetry.io/schemas/1.44.0';

/** What is known of a process without asking anybody. What a user says goes before it. */
export function processResource({ service, version, instance, attributes }: Identity): Resource {
  const known: Attributes = {
    'host.name': hostname(),
    'process.pid': process.pid,
    'process.runtime.name': 'nodejs',
    'process.runtime.version': process.versions.node,
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': 'keelson',
    // A number per process and host is none per instance where containers have the same of both.
    'service.instance.id': instance ?? randomUUID(),
    ...attributes,
    'service.name': service,
  };
  if (instance !== undefined) known['service.instance.id'] = instance;
  if (version !== undefined) known['service.version'] = version;
  return resource(known, schemaUrl);
}
