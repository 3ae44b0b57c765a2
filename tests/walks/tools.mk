# The pages that people follow first, followed.
.PHONY: test-walks
test-walks: $(VENV)/.dev ## Real programs: Run every command of README, tutorial and walks, in a fresh checkout with a stack of its own
	$(BIN)/pytest --durations=5 -n 2 tests/walks
