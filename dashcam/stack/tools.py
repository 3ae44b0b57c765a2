"""Programs that no package registry of ours has as binaries: which, in what version, how they are built.

The one place for it. Nothing is built here: `make tools` does that (build_tools.py), into a cache outside
the checkout, and links the result into .tools/bin.
"""

from __future__ import annotations

from dashcam.stack.settings import ROOT
from dashcam.stack.tool_recipes import Collected, Copied, Installed, Ours, Tool

BIN = ROOT / ".tools" / "bin"

JAEGER = Tool(
    "jaeger",
    "2.13.0",
    "stores and finds traces",
    # Since 2.14 the module's path has a /v2 that its go.mod lacks: newer ones are not in the module proxy.
    Copied(
        "github.com/jaegertracing/jaeger",
        "v1.76.0",
        "./cmd/jaeger",
        ldflags="-s -w -X github.com/jaegertracing/jaeger/internal/version.latestVersion=v2.13.0",
    ),
    variable="JAEGER_BINARY",
    on_path=("jaeger",),
    effort="about 10 minutes on two cores",
    elsewhere="put the released `jaeger` (2.13 or newer; https://www.jaegertracing.io/download/) on PATH",
)
JAEGER_ROLLOVER = Tool(
    "jaeger-es-rollover",
    JAEGER.version,
    "makes Jaeger's templates, first indices and aliases in Elasticsearch",
    Copied("github.com/jaegertracing/jaeger", "v1.76.0", "./cmd/es-rollover"),
    variable="JAEGER_ES_ROLLOVER_BINARY",
    on_path=("jaeger-es-rollover",),
    effort="a minute after Jaeger itself",
    elsewhere="take it from the image jaegertracing/jaeger-es-rollover",
    on_demand=True,
)
COLLECTOR = Tool(
    "otelcol",
    "0.159.0",
    "takes the spans in, samples whole traces and keeps them on disk until Jaeger has them",
    Collected("go.opentelemetry.io/collector/cmd/builder@v0.159.0", "k8s/collector-build.yaml"),
    variable="COLLECTOR_BINARY",
    # Not `otelcol`: the core distribution lacks tail sampling and the queue on disk.
    on_path=("otelcol-contrib",),
    effort="about 15 minutes on two cores",
    elsewhere="put the released `otelcol-contrib` (0.159 or newer) on PATH",
)
COLLECTOR_AGENT = Tool(
    "otelcol-agent",
    "0.159.0",
    "reads the log files of a node and keeps their lines on disk until Elasticsearch has them",
    Collected(
        "go.opentelemetry.io/collector/cmd/builder@v0.159.0",
        "k8s/log-agent-build.yaml",
        modules="tests/log_agents/profiler",
    ),
    variable="COLLECTOR_AGENT_BINARY",
    on_path=("otelcol-contrib",),
    effort="about 5 minutes on two cores",
    elsewhere="put the released `otelcol-contrib` (0.159 or newer) on PATH",
    on_demand=True,
)
KUSTOMIZE = Tool(
    "kustomize",
    "5.8.1",
    "renders the manifests",
    Installed("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.1"),
    variable="KUSTOMIZE_BINARY",
    on_path=("kustomize",),
    effort="a minute",
    elsewhere="put `kustomize` (5.8 or newer) on PATH",
)
PODSECURITY = Tool(
    "podsecurity",
    "1",
    "asks Kubernetes' Pod Security admission about pods",
    Ours("tests/k8s_programs/podsecurity"),
    variable="PODSECURITY_BINARY",
    on_path=(),
    effort="two minutes",
    elsewhere="build tests/k8s_programs/podsecurity",
)
TELEMETRYGEN = Tool(
    "telemetrygen",
    "0.160.0",
    "sends made-up telemetry of all three signals, as its makers' tests do",
    Ours(
        "tests/integration/telemetrygen",
        "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen",
        "-s -w",
    ),
    variable="TELEMETRYGEN_BINARY",
    on_path=("telemetrygen",),
    effort="two minutes on two cores",
    elsewhere="put `telemetrygen` (0.160 or newer) on PATH",
)
OTEL_DESKTOP_VIEWER = Tool(
    "otel-desktop-viewer",
    "0.4.1",
    "shows one machine's telemetry as Dashcam does: `make bench-backend` measures beside it",
    Copied("github.com/CtrlSpice/otel-desktop-viewer", "v0.4.1", ".", ldflags="-s -w"),
    variable="OTEL_DESKTOP_VIEWER_BINARY",
    on_path=("otel-desktop-viewer",),
    effort="five minutes on two cores; it needs a C compiler",
    elsewhere="put the released `otel-desktop-viewer` (0.4 or newer) on PATH",
    on_demand=True,
)

KUBERNETES_VERSION = "1.35.4"
"""Of the API server that the manifests are given to; tests/apiserver/programs/go.mod has it, too."""

_MINOR = KUBERNETES_VERSION.split(".")[1]
_KUBERNETES_LDFLAGS = (
    f"-s -w -X k8s.io/component-base/version.gitVersion=v{KUBERNETES_VERSION}"
    f" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor={_MINOR}"
    f" -X k8s.io/client-go/pkg/version.gitVersion=v{KUBERNETES_VERSION}"
)


def _kubernetes(name: str, purpose: str, on_path: tuple[str, ...] = ()) -> Tool:
    variable = f"{name.upper().replace('-', '_')}_BINARY"
    return Tool(
        name,
        KUBERNETES_VERSION,
        purpose,
        Ours("tests/apiserver/programs", f"k8s.io/kubernetes/cmd/{name}", _KUBERNETES_LDFLAGS),
        variable=variable,
        on_path=on_path,
        effort="10 minutes on two cores for all of Kubernetes",
        elsewhere=f"name the released `{name}` by {variable} (https://kubernetes.io/releases/download/)",
        on_demand=True,
    )


ETCD = Tool(
    "etcd",
    "3.6.5",
    "keeps what a Kubernetes API server is told",
    Ours("tests/apiserver/programs", "go.etcd.io/etcd/server/v3", "-s -w"),
    variable="ETCD_BINARY",
    on_path=("etcd",),
    effort="two minutes",
    elsewhere="put `etcd` (3.5 or newer) on PATH",
    on_demand=True,
)
KUBE_APISERVER = _kubernetes("kube-apiserver", "admits and keeps objects as every cluster does")
KUBE_CONTROLLER_MANAGER = _kubernetes("kube-controller-manager", "makes pods of Deployments and the like")
KUBECTL = _kubernetes("kubectl", "speaks to a cluster", on_path=("kubectl",))
KUBE_SCHEDULER = _kubernetes("kube-scheduler", "chooses a node for each pod")
KUBE_PROXY = _kubernetes("kube-proxy", "lets a Service's address reach its pods")
KUBELET = _kubernetes("kubelet", "runs pods on a node")


def _of_a_node(name: str, version: str, purpose: str, recipe: Ours | Copied, effort: str) -> Tool:
    variable = f"{name.upper().replace('-', '_')}_BINARY"
    elsewhere = f"name the released `{name}` by {variable}"
    return Tool(name, version, purpose, recipe, variable, (), effort, elsewhere, on_demand=True)


_STATIC = ("CGO_ENABLED", "0")
COREDNS = _of_a_node(
    "coredns",
    "1.13.1",
    "answers pods who ask for a Service's name",
    Ours("tests/onenode/coredns", ldflags="-s -w"),
    "two minutes",
)
KUBE_ROUTER = _of_a_node(
    "kube-router",
    "2.1.0",
    "enforces the NetworkPolicies of a node",
    # Newer ones are not in the module proxy.
    Copied(
        "github.com/cloudnativelabs/kube-router/v2",
        "v2.1.0",
        "./cmd/kube-router",
        ldflags="-s -w",
        environ=(_STATIC,),
    ),
    "three minutes",
)
METRICS_SERVER = _of_a_node(
    "metrics-server",
    "0.8.0",
    "tells autoscalers how busy pods are",
    # 0.9 needs a Go that is newer than what builds all others.
    Copied(
        "sigs.k8s.io/metrics-server",
        "v0.8.0",
        "./cmd/metrics-server",
        ldflags="-s -w -X sigs.k8s.io/metrics-server/pkg/version.gitVersion=v0.8.0",
        environ=(_STATIC,),
    ),
    "four minutes",
)
PROMETHEUS = _of_a_node(
    "prometheus",
    "3.14.0",
    "stores metrics, and finds its targets by asking Kubernetes, which Debian's cannot",
    Copied(
        "github.com/prometheus/prometheus",
        "v0.314.0",
        "./cmd/prometheus",
        ldflags="-s -w -X github.com/prometheus/common/version.Version=3.14.0",
        # Of the ways to find targets the two that the manifests use: the others are most of the program.
        environ=(_STATIC, ("GOFLAGS", "-mod=mod -tags=remove_all_sd,enable_kubernetes_sd,enable_dns_sd")),
    ),
    "five minutes",
)
NATS_SERVER = _of_a_node(
    "nats-server",
    "2.15.2",
    "is the broker of the manifests, whose settings Debian's older one does not know",
    Copied("github.com/nats-io/nats-server/v2", "v2.15.2", ".", ldflags="-s -w", environ=(_STATIC,)),
    "a minute",
)

_EXPORTER_VERSION = "-s -w -X github.com/prometheus/common/version.Version="


def _exporter(name: str, version: str, module: str, purpose: str) -> Tool:
    variable = f"{name.upper().replace('-', '_')}_BINARY"
    return Tool(
        name,
        version,
        purpose,
        # Copied, because `go install` also asks which versions there are, which not every module proxy tells.
        Copied(module, f"v{version}", ".", ldflags=f"{_EXPORTER_VERSION}{version}"),
        variable=variable,
        on_path=(),
        effort="two minutes on two cores, kube-state-metrics five",
        elsewhere=f"name the released `{name}` by {variable}",
        on_demand=True,
    )


NODE_EXPORTER = _exporter(
    "node_exporter", "1.12.1", "github.com/prometheus/node_exporter", "tells of a node's disks"
)
KUBE_STATE_METRICS = _exporter(
    "kube-state-metrics", "2.20.0", "k8s.io/kube-state-metrics/v2", "tells of the objects in a cluster"
)
ELASTICSEARCH_EXPORTER = _exporter(
    "elasticsearch_exporter",
    "1.9.0",
    "github.com/prometheus-community/elasticsearch_exporter",
    "tells of Elasticsearch's health",
)

TOOLS = {
    tool.name: tool
    for tool in (
        *(JAEGER, JAEGER_ROLLOVER, COLLECTOR, COLLECTOR_AGENT, KUSTOMIZE, PODSECURITY),
        *(TELEMETRYGEN, OTEL_DESKTOP_VIEWER),
        *(ETCD, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBECTL),
        *(KUBE_SCHEDULER, KUBE_PROXY, KUBELET, COREDNS, KUBE_ROUTER, METRICS_SERVER),
        *(PROMETHEUS, NATS_SERVER, NODE_EXPORTER, KUBE_STATE_METRICS, ELASTICSEARCH_EXPORTER),
    )
}
