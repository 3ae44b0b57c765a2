// Exports one trace with the unmodified OpenTelemetry SDK of JavaScript and prints its id.
// usage: node export.mjs <json|protobuf> <none|gzip> <url of /v1/traces>
import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [encoding, compression, url] = process.argv.slice(2);
const Exporter = encoding === "json" ? JsonExporter : ProtobufExporter;
const provider = new BasicTracerProvider({
  resource: resourceFromAttributes({ "service.name": "node-peer", "host.name": "here" }),
  spanProcessors: [new BatchSpanProcessor(new Exporter({ url, compression }))],
});
const tracer = provider.getTracer("peer", "1.2.3");
const root = tracer.startSpan("GET /", { kind: SpanKind.SERVER });
const child = tracer.startSpan(
  "call",
  { kind: SpanKind.CLIENT, links: [{ context: root.spanContext(), attributes: { why: "test" } }] },
  trace.setSpan(context.active(), root),
);
child.setAttributes({ text: "größe", n: 5, big: Number.MAX_SAFE_INTEGER, ratio: 0.5, flag: true, list: ["a", "b"] });
child.recordException(new TypeError("no such car"));
child.setStatus({ code: SpanStatusCode.ERROR, message: "boom" });
child.end();
root.end();
await provider.shutdown();
console.log(root.spanContext().traceId);
