// Two lines of each logger: a warning, and an error with an exception, both of a trace.
const ids = { trace_id: process.env.TRACE, span_id: process.env.SPAN };

function buy() {
  throw new TypeError("gone");
}

function caught() {
  try {
    return buy();
  } catch (error) {
    return error;
  }
}

const loggers = {
  pino() {
    const log = require("pino")().child(ids);
    log.warn({ left: 2 }, "low stock");
    log.error(caught(), "no stock");
  },
  winston() {
    const { createLogger, format, transports } = require("winston");
    const form = format.combine(format.errors({ stack: true }), format.timestamp(), format.json());
    const log = createLogger({ format: form, defaultMeta: ids, transports: [new transports.Console()] });
    log.warn("low stock", { left: 2 });
    log.error("no stock", caught());
  },
  bunyan() {
    const log = require("bunyan").createLogger({ name: "shop", serializers: require("bunyan").stdSerializers, ...ids });
    log.warn({ left: 2 }, "low stock");
    log.error(caught(), "no stock");
  },
};

loggers[process.argv[2]]();
