#!/usr/bin/env bash
# Copies the image's configuration to where it can be written, and makes the keystore from the mounted Secret.
set -euo pipefail
cp --recursive /usr/share/elasticsearch/config/. /config/
export ES_PATH_CONF=/config
elasticsearch-keystore create --silent
for entry in /etc/keystore/*; do
  elasticsearch-keystore add --stdin --force "$(basename "$entry")" <"$entry"
done
