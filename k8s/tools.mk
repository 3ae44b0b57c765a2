# The programs behind the tests, in the versions that dashcam/stack/tools.py pins: built once into a cache outside
# the checkout and linked into .tools/bin (ignored). Where all are there this takes a second.
BUILD_TOOLS := $(BIN)/python -m dashcam.stack.build_tools
.PHONY: tools
tools: $(VENV)/.run ## Real programs: Have Jaeger, the Collector and what else tests need: built from source once, unless on PATH (needs Go)
	@$(BUILD_TOOLS)

# The modules that define the custom resources we write, and where in each the definitions are.
CRD_MODULES := \
	github.com/prometheus-operator/prometheus-operator@v0.85.0:example/prometheus-operator-crd \
	github.com/external-secrets/external-secrets@v0.20.4:config/crds/bases/external-secrets.io_* \
	github.com/cert-manager/cert-manager@v1.19.1:deploy/crds \
	github.com/cloudnative-pg/cloudnative-pg@v1.27.1:config/crd/bases \
	github.com/argoproj/argo-rollouts@v1.9.0:manifests/crds/*-crd.yaml \
	github.com/argoproj/argo-cd/v3@v3.4.0:manifests/crds/*-crd.yaml \
	github.com/fluxcd/kustomize-controller@v1.7.3:config/crd/bases \
	github.com/fluxcd/source-controller@v1.8.0:config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml \
	sigs.k8s.io/gateway-api@v1.4.0:config/crd/standard/gateway.networking.k8s.io_httproutes.yaml \
	github.com/elastic/cloud-on-k8s/v3@v3.5.0:config/crds/v1/resources/*.yaml

IMAGE_LISTS ?= k8s/overlays
.PHONY: promote
# An image by its digest into the list of an overlay
promote: $(VENV)/.run
	@test -d "$(IMAGE_LISTS)/$(OVERLAY)/images" || { echo "make: there is no overlay $(OVERLAY) with images: use one of" \
		$(notdir $(patsubst %/images,%,$(wildcard $(IMAGE_LISTS)/*/images))) >&2; exit 2; }
	@test -n "$(SERVICE)" && [[ "$(IMAGE)" =~ ^[a-z0-9./:_-]+@sha256:[0-9a-f]{64}$$ ]] || \
		{ echo "make: give an image by its digest: make promote OVERLAY=production SERVICE=car IMAGE=registry/car@sha256:…" >&2; exit 2; }
	@[[ " $(SERVICES) " == *" $(SERVICE) "* ]] || { echo "make: there is no service $(SERVICE): use one of $(SERVICES)" >&2; exit 2; }
	@$(BUILD_TOOLS) kustomize
	@cd $(IMAGE_LISTS)/$(OVERLAY)/images && "$(CURDIR)/.tools/bin/kustomize" edit set image "dashcam/$(SERVICE)=$(IMAGE)"

.PHONY: tools-k8s test-k8s
tools-k8s: $(VENV)/.run .tools/crds # Have kustomize and the definitions of custom resources (needs Go)
	@$(BUILD_TOOLS) kustomize

.tools/crds: k8s/tools.mk
	@command -v go >/dev/null || { echo "make: Go is needed to fetch the definitions (Debian: apt-get install golang)" >&2; exit 1; }
	@rm -rf $@ $@.new && mkdir -p $@.new
	@set -euo pipefail; for module in $(foreach m,$(CRD_MODULES),'$(m)'); do \
		name=$${module%%:*}; inside=$${module#*:}; echo "fetching $$name"; \
		folder=$$(cd $@.new && GOFLAGS=-mod=mod go mod download -json $$name | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p'); \
		for file in $$folder/$$inside; do \
			if test -d $$file; then cp $$file/*.yaml $@.new/; else cp $$file $@.new/; fi; done; done
	@chmod -R u+w $@.new && rm -f $@.new/kustomization.yaml && mv $@.new $@

test-k8s: $(VENV)/.dev tools-k8s ## Real programs: Hold the manifests in every combination to rules, schemas and flows; roll the services under load, orders over three brokers
	@$(BUILD_TOOLS) nats-server
	$(BIN)/pytest --durations=5 -n 2 --dist loadfile tests/k8s

# The cluster that kubectl's current context names, or CONTEXT=name.
OVERLAY ?= local
CONTEXT ?=
CLUSTER := $(if $(CONTEXT),--context $(CONTEXT))

.PHONY: deploy undeploy port-forward debug test-cluster
deploy: $(VENV)/.run ## Kubernetes: Bring the stack into a cluster: OVERLAY=local or production, CONTEXT=
	@$(BIN)/dashcam deploy $(CLUSTER) $(OVERLAY)

undeploy: $(VENV)/.run ## Kubernetes: Take it out of the cluster again; volumes and Secrets stay
	@$(BIN)/dashcam undeploy $(CLUSTER) $(OVERLAY)

port-forward: $(VENV)/.run ## Kubernetes: Open all pages of the cluster at the fixed ports of this machine, until Ctrl-C
	@$(BIN)/dashcam port-forward $(CLUSTER)

debug: $(VENV)/.run ## Kubernetes: Look into SERVICE=car in the cluster: pods, lines, latest failing trace, a shell beside it
	@test -n "$(SERVICE)" || { echo "make: name the service: make debug SERVICE=car" >&2; exit 2; }
	@$(BIN)/dashcam debug $(CLUSTER) $(SERVICE)

# The whole of tests/cluster where CONTEXT names a cluster, whose nodes can pull images; else what the node of
# tests/onenode can run: no package registry has Grafana, Kibana and Fluent Bit.
ON_BOTH := test_cluster_end_to_end test_cluster_lines test_cluster_by_hand test_cluster_autoscaling \
	test_cluster_disruptions test_cluster_evictions
ON_THE_NODE := $(ON_BOTH) test_node_network test_node_production
ON_A_CLUSTER := $(ON_BOTH) test_cluster_pages
ONE_NODE := PYTHONPATH=tests CLUSTER_OVERLAY=tests/cluster/overlays/local CLUSTER_WITHOUT=grafana,kibana \
	CLUSTER_HAD="one node made of packages and Go modules (tests/onenode)" $(BIN)/python -m onenode

test-cluster: $(VENV)/.dev ## Real programs: Test a deployment end to end, on a node made here of packages (as root) or in CONTEXT=name
ifeq ($(CONTEXT),)
	@$(MAKE) --no-print-directory tools-node
	$(ONE_NODE) -- $(BIN)/pytest --durations=10 $(ON_THE_NODE:%=tests/cluster/%.py)
else
	CONTEXT=$(CONTEXT) $(BIN)/pytest --durations=10 $(ON_A_CLUSTER:%=tests/cluster/%.py)
endif

.PHONY: node tools-node
# Whether a node can be made here is asked first: the programs take half an hour to build on a new machine.
tools-node: $(VENV)/.dev
	@$(PREREQUISITES) node || true
	@PYTHONPATH=tests $(BIN)/python -m onenode.obstacles
	@$(MAKE) --no-print-directory tools-elasticsearch
	@$(BUILD_TOOLS) kustomize etcd kube-apiserver kube-controller-manager kubectl kube-scheduler kube-proxy kubelet \
		coredns kube-router metrics-server nats-server prometheus otelcol otelcol-agent jaeger jaeger-es-rollover kube-state-metrics node_exporter elasticsearch_exporter

node: tools-node ## Kubernetes: A cluster of one node, made here of packages (as root), and a shell in it
	@$(ONE_NODE)

.PHONY: tools-k8s-programs test-k8s-programs
tools-k8s-programs: $(VENV)/.run # Have Jaeger, the Collector and Pod Security (the first time slow)
	@$(BUILD_TOOLS) jaeger otelcol podsecurity

test-k8s-programs: $(VENV)/.dev tools-k8s tools-k8s-programs # Let Jaeger, the Collector and Pod Security read what the manifests give them
	$(BIN)/pytest --durations=5 tests/k8s_programs

.PHONY: tools-apiserver apiserver test-apiserver
tools-apiserver: $(VENV)/.run # Have etcd, a Kubernetes API server, its controllers and kubectl (the first time slow)
	@$(BUILD_TOOLS) etcd kube-apiserver kube-controller-manager kubectl

apiserver: $(VENV)/.dev tools-apiserver ## Kubernetes: Run a Kubernetes API on this machine, without nodes, until Ctrl-C
	@PYTHONPATH=tests $(BIN)/python tests/apiserver/control_plane.py

test-apiserver: $(VENV)/.dev tools-k8s tools-apiserver ## Real programs: Let a real Kubernetes API take all manifests, strictly, and `make deploy`
	$(BIN)/pytest --durations=5 tests/apiserver

.PHONY: scan-k8s
scan-k8s: tools-k8s # Let checkov look at both overlays; k8s/checkov.yaml explains what is left out
	@command -v checkov >/dev/null || { echo "make: checkov is not on PATH (pipx install checkov)" >&2; exit 1; }
	@set -euo pipefail; mkdir -p .tools/scan; for overlay in local production; do \
		.tools/bin/kustomize build k8s/overlays/$$overlay > .tools/scan/$$overlay.yaml; \
		checkov --config-file k8s/checkov.yaml --file .tools/scan/$$overlay.yaml; done
