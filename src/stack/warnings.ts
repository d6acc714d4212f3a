import { apiMismatch } from '../telemetry/api-mismatch.js';

/** OpenTelemetry itself says nothing when its copies do not fit; whoever wonders where the spans are would search for long. */
export function warnOfMismatch(): void {
  const mismatch = apiMismatch();
  if (mismatch !== undefined) process.emitWarning(mismatch, { code: 'KEELSON_OTEL_API' });
}

/** A service that nobody can find answers nobody, and nothing else says so. */
export function warnOfLostRegistration(service: string, reason: string | undefined): void {
  process.emitWarning(
    `app "${service}" is not registered: nobody confirms it (${reason ?? 'no reason given'}); it goes on trying, and tells by app.events.on('registry', …)`,
    { code: 'KEELSON_REGISTRY' },
  );
}

/** A server that was forgotten works, without limits, deadlines and traces: nobody would notice before it matters. */
export function warnOfUngoverned(service: string): void {
  process.emitWarning(
    `app "${service}" serves a server and governs none: give it app.listener(handler), or its framework an adapter such as governExpress(app); app.serve(server, { governed: false }) if that is meant`,
    { code: 'KEELSON_UNGOVERNED' },
  );
}
