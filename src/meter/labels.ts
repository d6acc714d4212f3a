import type { Attributes, AttributeValue } from '@opentelemetry/api';
import type { MetricScope } from './metric-data.js';
import { labelName } from './prometheus-name.js';
import { escaped } from './prometheus-text.js';

/** Labels that the format itself, or the scope, gives to points. */
const taken = new Set(['le', 'otel_scope_name', 'otel_scope_version', 'otel_scope_schema_url']);

function textOf(value: AttributeValue | undefined): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/**
 * Writes attributes as labels, without braces; empty for none. Names that become the same share one label, values joined
 * by `;` in the order of the names. A name that is taken is prefixed by `exported_`, as Prometheus does with its own.
 */
export function labelsOf(attributes: Attributes): string {
  const byName = new Map<string, string>();
  for (const key of Object.keys(attributes).sort()) {
    const plain = labelName(key);
    const name = taken.has(plain) ? `exported_${plain}` : plain;
    const value = textOf(attributes[key]);
    const before = byName.get(name);
    byName.set(name, before === undefined ? value : `${before};${value}`);
  }
  let labels = '';
  for (const [name, value] of byName) labels += `${labels === '' ? '' : ','}${name}="${escaped(value)}"`;
  return labels;
}

/** Writes a scope as labels; what is empty is left out. */
function scopeLabels({ name, version, schemaUrl }: MetricScope): string {
  const labels: string[] = [];
  if (name !== '') labels.push(`otel_scope_name="${escaped(name)}"`);
  if (schemaUrl !== '') labels.push(`otel_scope_schema_url="${escaped(schemaUrl)}"`);
  if (version !== '') labels.push(`otel_scope_version="${escaped(version)}"`);
  return labels.join(',');
}

/** Remembers labels as long as there are the series that they are of: writing them costs more than all the rest. */
export class LabelWriter {
  private readonly ofSeries = new WeakMap<Attributes, string>();
  private readonly ofScope = new WeakMap<MetricScope, string>();

  /** @param scopes - whether points show which scope they are of */
  constructor(private readonly scopes: boolean) {}

  /** Labels of a point, without braces. */
  of(attributes: Attributes, scope: MetricScope): string {
    const own = remembered(this.ofSeries, attributes, labelsOf);
    if (!this.scopes) return own;
    const outer = remembered(this.ofScope, scope, scopeLabels);
    return own !== '' && outer !== '' ? `${own},${outer}` : own + outer;
  }
}

function remembered<Key extends object>(
  known: WeakMap<Key, string>,
  key: Key,
  write: (key: Key) => string,
): string {
  let text = known.get(key);
  if (text === undefined) {
    text = write(key);
    known.set(key, text);
  }
  return text;
}
