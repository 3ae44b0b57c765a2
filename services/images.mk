# Beside `make images`: their Dockerfile linted, and what is in them written down.
RUN_FLAGS ?=

.PHONY: lint-images sbom
lint-images: $(VENV)/.dev # hadolint over the Dockerfile
	$(BIN)/hadolint services/Dockerfile

sbom: $(VENV)/.dev ## Kubernetes: Write what is in each built image to .dashcam/sbom, as CycloneDX (ENGINE=, TAG= as for images)
	@mkdir -p .dashcam/sbom
	@set -e; for service in $(SERVICES); do \
		$(BIN)/python services/sbom.py "$(ENGINE) run $(RUN_FLAGS)" $(IMAGES)/$$service:$(TAG) > .dashcam/sbom/$$service.cdx.json; \
		echo ".dashcam/sbom/$$service.cdx.json"; done
