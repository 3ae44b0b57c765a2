// The stock: one of everything but unicorns.
const { trace } = require("@opentelemetry/api");
const http = require("node:http");
const pino = require("pino");

const log = pino({
  mixin() {
    const { traceId, spanId } = trace.getActiveSpan()?.spanContext() ?? {};
    return { traceId, spanId };
  },
});

http
  .createServer((request, response) => {
    const thing = request.url.split("/").at(-1);
    if (thing === "unicorn") {
      log.error({ err: new Error("there are none") }, "no unicorn in stock");
      response.writeHead(500).end();
    } else {
      log.info({ thing }, "one taken");
      response.end(`one ${thing}`);
    }
  })
  .listen(process.env.PORT, "127.0.0.1");
