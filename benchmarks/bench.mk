# The overhead of telemetry, measured side by side. Its own environment: what is compared with is no
# dependency of Dashcam.
BENCH := .tools/bench
# Compiled for the Python of this environment, which need not be that of $(VENV).
BENCH_COMPILED := $(BENCH)/bin/python -m dashcam.stack.compiling
.PHONY: bench bench-inprocess lock-bench

$(BENCH)/.ready: $(BIN)/uv benchmarks/requirements.txt
	@echo "making $(BENCH)"
	@$(PYTHON) -m venv --clear $(BENCH)
	@UV_LINK_MODE=copy UV_SYSTEM_CERTS=$${UV_SYSTEM_CERTS:-1} VIRTUAL_ENV="$$(pwd -P)/$(BENCH)" \
		$(BIN)/uv pip install --quiet --require-hashes --compile-bytecode -r benchmarks/requirements.txt
	@touch $@

bench: $(BENCH)/.ready ## Measure: Measure what telemetry costs a request, against others; writes docs/overhead.md (needs wrk, h2load)
	@$(BENCH_COMPILED)
	$(BENCH)/bin/python -m benchmarks.overhead --write

bench-inprocess: $(BENCH)/.ready # The same without a server, in a minute: for comparing two states of the code
	@$(BENCH_COMPILED)
	$(BENCH)/bin/python -m benchmarks.overhead.inprocess

lock-bench: $(BIN)/uv # Resolve benchmarks/requirements.in again
	$(COMPILE) benchmarks/requirements.in -c requirements-dev.txt -o benchmarks/requirements.txt
