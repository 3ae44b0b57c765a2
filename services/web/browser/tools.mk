# The script of web's pages, from OpenTelemetry's packages: committed, so that only who changes it needs Node.
.PHONY: web-browser
web-browser: ## Change it: Bundle services/web/browser into web's static files anew (needs Node and npm)
	cd services/web/browser && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error \
		&& npm run build --silent > ../static/telemetry.js
