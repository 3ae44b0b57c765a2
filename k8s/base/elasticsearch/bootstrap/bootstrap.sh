#!/usr/bin/env bash
# Brings Elasticsearch to what Dashcam needs of it. Safe to run again, also while others write; a request is made again
# where nobody answered in time, or a node that is not ready.
# Passwords are files in /etc/users named after their users; none appears among the arguments of a process.
set -euo pipefail

ask() { # METHOD PATH [BODY-FILE]
  local method=$1 path=$2 body=${3:-}
  printf 'user = "elastic:%s"\n' "$(</etc/users/elastic)" |
    curl --config - --silent --show-error --fail-with-body --max-time 30 --retry 3 --retry-delay 2 \
      ${CURL_CA_BUNDLE:+--cacert "$CURL_CA_BUNDLE"} \
      --request "$method" ${body:+--header 'Content-Type: application/json' --data-binary "@$body"} \
      "$ELASTICSEARCH_URL$path" || return # said here, for `set -e` is off while a condition is looked at
  echo
}

echo "waiting for $ELASTICSEARCH_URL"
until ask GET '/_cluster/health?wait_for_status=yellow&timeout=20s' >/tmp/health 2>&1; do
  cat /tmp/health
  sleep 3
done

echo "lifecycles and the index template"
ask PUT /_ilm/policy/dashcam-logs /etc/bootstrap/lifecycle.json
ask PUT /_ilm/policy/jaeger-ilm-policy /etc/bootstrap/jaeger-lifecycle.json
ask PUT /_index_template/logs-dashcam /etc/bootstrap/template.json

echo "the password of Kibana's own user"
# Enabled first: that writes the user's entry where there is none. A password for a missing entry is an exception within
# the node, and 9.5.3 stands still for ever when another thread makes its very first one at that moment (ADR 71).
ask PUT /_security/user/kibana_system/_enable
printf '{"password":"%s"}' "$(</etc/users/kibana_system)" >/tmp/body
ask POST /_security/user/kibana_system/_password /tmp/body

for user in fluent-bit grafana jaeger elasticsearch-exporter; do
  echo "role and user $user"
  ask PUT "/_security/role/dashcam-$user" "/etc/bootstrap/role-$user.json"
  printf '{"password":"%s","roles":["dashcam-%s"],"full_name":"Dashcam: %s"}' "$(</etc/users/$user)" "$user" "$user" >/tmp/body
  ask PUT "/_security/user/$user" /tmp/body
done
rm -f /tmp/body
echo "done"
