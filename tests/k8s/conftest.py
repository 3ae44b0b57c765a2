"""The manifests' tests render what kustomize renders; `make test-k8s` provides the programs they need."""
