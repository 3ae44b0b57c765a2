// The stock SDK with its HTTP instrumentation; where telemetry goes comes from the standard variables.
const { HttpInstrumentation } = require("@opentelemetry/instrumentation-http");
const { NodeSDK } = require("@opentelemetry/sdk-node");

const sdk = new NodeSDK({ instrumentations: [new HttpInstrumentation()] });
sdk.start();
process.once("SIGTERM", () => sdk.shutdown().finally(() => process.exit(0)));
