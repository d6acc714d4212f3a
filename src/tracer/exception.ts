import type { Attributes } from '@opentelemetry/api';

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * What an `exception` event says of something that was thrown. Anything can be thrown, and its fields may throw again.
 *
 * Source: OpenTelemetry semantic conventions for exceptions. The SDK prefers an error's `code` as its type; the convention
 * says the class, and the code of a Node error is in its message.
 */
export function exceptionAttributes(thrown: unknown): Attributes {
  const attributes: Attributes = {};
  try {
    if (typeof thrown === 'object' && thrown !== null) {
      const { name, message, stack } = thrown as { name?: unknown; message?: unknown; stack?: unknown };
      const type = text(name) ?? text((thrown as { constructor?: { name?: unknown } }).constructor?.name);
      if (type !== undefined) attributes['exception.type'] = type;
      const said = text(message);
      if (said !== undefined) attributes['exception.message'] = said;
      const trace = text(stack);
      if (trace !== undefined) attributes['exception.stacktrace'] = trace;
    } else {
      attributes['exception.message'] = String(thrown);
    }
  } catch {
    attributes['exception.message'] = '[unreadable]';
  }
  return attributes;
}
