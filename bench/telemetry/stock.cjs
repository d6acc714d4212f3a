// The usual way: SDK, batch processor, OTLP over HTTP with protobuf, auto-instrumentation of http and undici.
const { NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');
const { BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto');
const { registerInstrumentations } = require('@opentelemetry/instrumentation');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
const { UndiciInstrumentation } = require('@opentelemetry/instrumentation-undici');

// Options come from the same variables as ours: endpoint, compression.
const exporter = new OTLPTraceExporter();
const provider = new NodeTracerProvider({
  spanProcessors: [new BatchSpanProcessor(exporter)],
});
provider.register();
if (process.env['BENCH_INSTRUMENT'] !== 'none')
  registerInstrumentations({ instrumentations: [new HttpInstrumentation(), new UndiciInstrumentation()] });

/** @type {any} */ (globalThis).benchTelemetry = {
  flush: () => provider.forceFlush(),
  shutdown: () => provider.shutdown(),
};
