import type { Attributes, AttributeValue } from '@opentelemetry/api';

/** Who records: the same for all spans and metrics of a process. Of the shape that exporters of the OpenTelemetry SDK read. */
export interface Resource {
  /** `service.name`, `service.instance.id`, … */
  readonly attributes: Attributes;
  /** Of which version of the semantic conventions its attributes are. */
  readonly schemaUrl?: string | undefined;
  /** Always `false`: what is detected asynchronously is awaited before a resource is made. */
  readonly asyncAttributesPending: boolean;
  /** Both together; of equal names the other's value counts. */
  merge(other: Pick<Resource, 'attributes' | 'schemaUrl'> | null): Resource;
  /** The attributes as a list. */
  getRawAttributes(): [string, AttributeValue | undefined][];
}

class FixedResource implements Resource {
  readonly asyncAttributesPending = false;

  constructor(
    readonly attributes: Attributes,
    readonly schemaUrl: string | undefined,
  ) {}

  merge(other: Pick<Resource, 'attributes' | 'schemaUrl'> | null): Resource {
    if (other === null) return this;
    return new FixedResource({ ...this.attributes, ...other.attributes }, other.schemaUrl ?? this.schemaUrl);
  }

  getRawAttributes(): [string, AttributeValue | undefined][] {
    return Object.entries(this.attributes);
  }
}

/**
 * Makes a resource.
 *
 * @param attributes - copied
 * @param schemaUrl - of the semantic conventions that they follow
 */
export function resource(attributes: Attributes, schemaUrl?: string): Resource {
  return new FixedResource({ ...attributes }, schemaUrl);
}
