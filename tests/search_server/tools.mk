# A real Elasticsearch for tests, from Maven Central and PyPI, in the cache that all tools are in. Not one of `make
# tools`, which people need who run Jaeger, and who need no Maven for that.
.PHONY: tools-elasticsearch test-search
tools-elasticsearch: $(VENV)/.run # Have a real Elasticsearch for the tests (needs Maven; 170 MB the first time)
	@PYTHONPATH=tests $(BIN)/python -m search_server.provide

test-integration: tools-elasticsearch
test-search: $(VENV)/.dev tools-elasticsearch # Send real log lines through the manifests' pipeline into a real Elasticsearch
	$(BIN)/pytest --durations=5 tests/integration/search
