# The documentation site, from docs/, the READMEs and what the code says of itself.
.PHONY: docs docs-serve
docs: $(VENV)/.dev ## Change it: Build the documentation into .dashcam/site, every link checked; a warning fails
	$(BIN)/python -m docs.site

docs-serve: $(VENV)/.dev ## Change it: Show the documentation at http://localhost:8080
	$(BIN)/python -m docs.site --serve
