# The diagnosis on recorded faults of other systems, beside trivial rules.
.PHONY: bench-rca

bench-rca: $(VENV)/.dev ## Diagnose recorded faults: make bench-rca DATA=folder [WRITE=--write] (docs/diagnosis.md says where data is)
	@test -n "$(DATA)" || { echo "say where the data set is: make bench-rca DATA=folder"; exit 2; }
	$(BIN)/python -m benchmarks.rca "$(DATA)" $(WRITE)
