#!/usr/bin/env bash
# Names the bucket and the nightly policy to Elasticsearch. Safe to run again.
set -euo pipefail

put() { # PATH BODY-FILE
  printf 'user = "elastic:%s"\n' "$(</etc/users/elastic)" |
    curl --config - --silent --show-error --fail-with-body --max-time 120 --cacert "$CURL_CA_BUNDLE" \
      --request PUT --header 'Content-Type: application/json' --data-binary "@$2" "$ELASTICSEARCH_URL$1"
  echo
}

put /_snapshot/dashcam /etc/snapshots/repository.json
put /_slm/policy/dashcam-nightly /etc/snapshots/policy.json
