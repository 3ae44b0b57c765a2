#!/usr/bin/env bash
# Install what the example runs on, beside it: Python packages with their hashes, and npm's by their lock.
set -euo pipefail
cd "$(dirname "$0")"
"${PYTHON:-python3}" -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r shop/requirements.txt
npm ci --prefix stock --no-audit --no-fund --ignore-scripts --loglevel=error
