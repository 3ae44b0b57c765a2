# What the tests with real programs need beside the Makefile's own.
.PHONY: verified
verified: $(VENV)/.dev ## Write docs/verified.md from the last runs of the tests that start real programs
	PYTHONPATH=tests $(BIN)/python -m verified_page
