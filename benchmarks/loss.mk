# What is lost, what a scrape takes, and the guard over the overhead. `make bench` is in bench.mk.
.PHONY: bench-scrape bench-loss bench-guard bench-guard-record

bench-scrape: $(VENV)/.dev # Measure a scrape of 10,000 series from four workers, and requests meanwhile (needs h2load)
	$(BIN)/python -m benchmarks.scrape --write

bench-loss: $(VENV)/.dev # A minute at saturation into a slow receiver: what arrives, what is counted as lost (needs wrk)
	$(BIN)/python -m benchmarks.loss --write

bench-guard: $(VENV)/.dev ## Measure: Fail when the overhead of a request has grown by a quarter, in instructions (needs valgrind)
	@$(PREREQUISITES) guard
	@$(COMPILED)
	$(BIN)/python -m benchmarks.guard

bench-guard-record: $(VENV)/.dev # Record the overhead that bench-guard compares with
	@$(PREREQUISITES) guard
	@$(COMPILED)
	$(BIN)/python -m benchmarks.guard --record
