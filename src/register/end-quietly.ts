import { diag, type Span } from '@opentelemetry/api';

/**
 * Ends a span from within somebody else's event: a processor of whoever has registered may throw, and there it would end the
 * process.
 */
export function endQuietly(span: Span | undefined): void {
  try {
    span?.end();
  } catch (fault) {
    diag.error('keelson: a span could not be ended', fault);
  }
}
