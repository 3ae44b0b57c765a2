# The recordings of dashboards/tests/expositions; its README says what they are and what they need.
NAMES ?=
RECORDED_PROGRAMS := jaeger otelcol node_exporter kube-state-metrics elasticsearch_exporter
.PHONY: record-expositions
record-expositions: $(VENV)/.dev # Record dashboards/tests/expositions again from the real programs (slow): NAMES=
	$(BUILD_TOOLS) $(RECORDED_PROGRAMS) $(if $(filter-out carriers nodes search,$(or $(NAMES),cluster)),etcd kube-apiserver kube-controller-manager kubectl kubelet)
	PYTHONPATH=.:tests:tests/apiserver:tests/k8s $(BIN)/python -m dashboards.tests.recorder $(NAMES)
