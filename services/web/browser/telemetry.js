// What the browser itself sees, as spans: the way to a page, its load, its requests, its errors and its web vitals.
// Bundled with OpenTelemetry's own packages into ../static/telemetry.js by `make web-browser`; browser.py says the rest.
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, propagation, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { registerInstrumentations } from "@opentelemetry/instrumentation";
import { DocumentLoadInstrumentation } from "@opentelemetry/instrumentation-document-load";
import { FetchInstrumentation } from "@opentelemetry/instrumentation-fetch";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, WebTracerProvider } from "@opentelemetry/sdk-trace-web";
import { onCLS, onFCP, onINP, onLCP, onTTFB } from "web-vitals";

const told = document.currentScript.dataset;
const COOKIE = "dashcam_way"; // the same in browser.py
const COOKIE_SECONDS = 10;

const provider = new WebTracerProvider({
  resource: defaultResource().merge(
    resourceFromAttributes({
      "service.name": "browser",
      "service.version": told.version,
      "host.name": "browser", // one clock: its spans are not measured against each other for skew
    }),
  ),
  spanProcessors: [
    new BatchSpanProcessor(new OTLPTraceExporter({ url: told.traces }), { scheduledDelayMillis: 500 }),
  ],
});
provider.register();
const tracer = trace.getTracer("dashcam.web.browser", told.version);

// The way that led here, where a click of ours did: then the page's load belongs to that click, else to the server's span.
const parent = document.querySelector('meta[name="traceparent"]');
const way = document.cookie.match(`(?:^|; )${COOKIE}=([0-9a-f-]{55})`);
if (way) {
  parent.content = way[1];
  document.cookie = `${COOKIE}=; Path=/; Max-Age=0; SameSite=Strict`;
}
const page = propagation.extract(ROOT_CONTEXT, { traceparent: parent.content });

registerInstrumentations({
  instrumentations: [
    new DocumentLoadInstrumentation({ semconvStabilityOptIn: "http" }),
    new FetchInstrumentation({ semconvStabilityOptIn: "http" }),
  ],
});

// No header can be given to a page that a link or a form opens, so a cookie takes the context of its span along.
function leave(name, attributes) {
  const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, root: true, attributes });
  const { traceId, spanId } = span.spanContext();
  document.cookie =
    `${COOKIE}=00-${traceId}-${spanId}-0${TraceFlags.SAMPLED}; Path=/; Max-Age=${COOKIE_SECONDS}; SameSite=Strict`;
  addEventListener("pagehide", () => (span.end(), provider.forceFlush()), { once: true });
}

addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
  const here = location.href.split("#")[0];
  if (link.origin === location.origin && (link.href.split("#")[0] !== here || !link.hash)) {
    leave("click", { "url.full": link.href, "browser.element.text": link.textContent.trim() });
  }
});

addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.target || !event.target.action.startsWith(location.origin)) return;
  leave("submit", {
    "url.full": event.target.action,
    "browser.element.text": event.submitter?.textContent.trim() ?? "",
  });
});

function failed(error) {
  const span = tracer.startSpan("error", { attributes: { "url.full": location.href } }, page);
  span.recordException(error instanceof Error ? error : String(error));
  span.setStatus({ code: SpanStatusCode.ERROR, message: String(error?.message ?? error) });
  span.end();
}
addEventListener("error", (event) => failed(event.error ?? event.message));
addEventListener("unhandledrejection", (event) => failed(event.reason));

// A vital that is a time is a span of that time, so that one sees in the waterfall when the page stood.
function vital({ name, value, rating, id, entries }) {
  const from = name === "INP" ? entries.at(-1).startTime : 0;
  const times = name === "CLS" ? [] : [performance.timeOrigin + from, performance.timeOrigin + from + value];
  const attributes = {
    "browser.web_vital.name": name.toLowerCase(),
    "browser.web_vital.value": value,
    "browser.web_vital.rating": rating,
    "browser.web_vital.id": id,
    "url.full": location.href,
  };
  tracer.startSpan(`web vital ${name}`, { attributes, startTime: times[0] }, page).end(times[1]);
}
for (const report of [onCLS, onFCP, onINP, onLCP, onTTFB]) report(vital);
