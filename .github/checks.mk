# What holds the workflows, and what a release is made of.
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GRYPE := github.com/anchore/grype/cmd/grype@v0.121.3

.PHONY: lint-workflows hooks scan-images
# Checks of the workflows, of GitLab's pipeline and of Renovate's settings (needs Go)
lint-workflows: $(VENV)/.dev
	@command -v go >/dev/null || { echo "make: Go is needed to build actionlint (Debian: apt-get install golang)" >&2; exit 1; }
	go run $(ACTIONLINT)
	$(BIN)/zizmor --quiet --offline .github/workflows
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci .gitlab-ci.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.renovate renovate.json
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))

hooks: $(VENV)/.dev ## Change it: Let git run the linters before each commit and push
	$(BIN)/pre-commit install

# Known vulnerabilities in what `make sbom` wrote down; a fixable one of high severity fails (needs Go, and the
# network for the list of vulnerabilities)
scan-images:
	@for sbom in .dashcam/sbom/*.cdx.json; do go run $(GRYPE) "sbom:$$sbom" --fail-on high --only-fixed || exit 1; done

.PHONY: dist
# Wheels and sdists of both distributions in dist/, and what a release asks of the version and the changelog
dist: $(VENV)/.dev
	rm -rf dist
	$(UV) build --quiet --no-build-isolation --out-dir dist observability
	$(UV) build --quiet --no-build-isolation --out-dir dist dashcam
	.ci/release check
	@ls dist

.PHONY: services
# Their names, for scripts
services:
	@echo $(SERVICES)

.PHONY: mutation coverage
# Small changes to the pure parts that no test notices; fewer noticed than before fails (some minutes)
mutation: $(VENV)/.dev compiled
	$(BIN)/python .ci/mutation

# The goals; what is reached has not been measured as a whole yet.
LIBRARY_COVERED := 95
TOOLS_COVERED := 90
# Which lines and branches the unit and contract tests run; less than is kept here fails (a quarter of an hour)
coverage: $(VENV)/.dev compiled
	rm -rf .dashcam/coverage && mkdir -p .dashcam/coverage
	$(BIN)/pytest -q -n $(WORKERS) $(SIDE_BY_SIDE) --cov --cov-report= tests/unit tests/contract
	$(BIN)/coverage report --skip-covered --include='observability/*' --fail-under=$(LIBRARY_COVERED)
	$(BIN)/coverage report --skip-covered --include='dashcam/*' --fail-under=$(TOOLS_COVERED)
