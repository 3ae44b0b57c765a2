# What becomes of the lines when a log agent is killed, or Elasticsearch refuses, hangs or takes the half.
.PHONY: tools-log-agent test-log-agent test-fluent-bit
tools-log-agent: $(VENV)/.run ## Have the Collector that reads log files (needs Go; the first time five minutes)
	@$(BUILD_TOOLS) otelcol-agent kustomize

test-log-agent: $(VENV)/.dev tools-log-agent tools-elasticsearch ## Kill, refuse, hang up on the Collector as log agent: no line may be lost, none be there twice
	$(BIN)/pytest --durations=5 tests/log_agents/test_collector_agent.py

test-fluent-bit: $(VENV)/.dev tools-k8s tools-elasticsearch ## The same for the fluent-bit on PATH; fails without one
	$(BIN)/pytest --durations=5 tests/log_agents/test_fluent_bit.py
