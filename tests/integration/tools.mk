# What the tests with real programs need beside the Makefile's own.
.PHONY: verified
verified: $(VENV)/.dev # Write docs/verified.md from the last runs of the tests that start real programs
	PYTHONPATH=tests $(BIN)/python -m verified_page

.PHONY: test-integration
test-integration: $(VENV)/.dev tools ## Real programs: Run the real Jaeger, Collector and others against what we say of them
	@# Two processes: most of the time is spent in waiting for a program, or for what it does by the clock.
	$(BIN)/pytest --durations=10 -n 2 --dist loadfile --no-loadscope-reorder tests/integration tests/k8s_programs
