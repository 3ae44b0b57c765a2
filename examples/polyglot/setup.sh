#!/usr/bin/env bash
# Install what the example runs on, beside it: by the locks of pip, npm and Go, and by the versions of Maven's file.
set -euo pipefail
cd "$(dirname "$0")"

python_packages() {
	"${PYTHON:-python3}" -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
}
node_packages() {
	npm ci --prefix stock --no-audit --no-fund --ignore-scripts --loglevel=error
	npm ci --prefix page --no-audit --no-fund --ignore-scripts --loglevel=error
	page/node_modules/.bin/esbuild page/page.js --bundle --minify --log-level=error --outfile=shop/static/page.js
}
go_program() { go -C billing build -mod=readonly -o billing .; }
java_program() {
	mvn --quiet --batch-mode --file parcels/pom.xml dependency:copy
	javac -cp 'parcels/lib/*' -d parcels parcels/Parcels.java
}

# At once: most of it is waiting. The first that fails ends it.
running=()
for part in python_packages node_packages go_program java_program; do
	"$part" & running+=($!)
done
for part in "${running[@]}"; do wait "$part"; done
