"""The metrics of others that dashboards, rules and runbooks may name, with where each set comes from.

What Dashcam's services emit is declared in `observability.schema`. A name that is in neither is a mistake: a
panel or an alert on it would be empty for ever, and a test says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Component:
    """Some names of a component's metrics.

    `origin` is where they are documented; `local` says whether it runs on a laptop too, so that its panels
    can be proven against the real thing there. What others said, dashboards/tests/expositions holds.
    """

    name: str
    origin: str
    names: frozenset[str]
    local: bool = False


def _component(name: str, origin: str, names: str, *, local: bool = False) -> Component:
    return Component(name, origin, frozenset(names.split()), local)


COMPONENTS = (
    _component(
        "Prometheus",
        "its own /metrics, and the series it makes itself (up, scrape_*, ALERTS)",
        """up scrape_duration_seconds scrape_samples_scraped ALERTS ALERTS_FOR_STATE
        prometheus_build_info
        prometheus_tsdb_head_series prometheus_tsdb_head_samples_appended_total
        prometheus_tsdb_storage_blocks_bytes prometheus_tsdb_exemplar_exemplars_appended_total
        prometheus_rule_group_last_duration_seconds prometheus_rule_group_interval_seconds
        prometheus_rule_evaluation_failures_total prometheus_rule_evaluations_total
        prometheus_notifications_sent_total prometheus_notifications_dropped_total
        prometheus_notifications_errors_total prometheus_notifications_alertmanagers_discovered""",
        local=True,
    ),
    _component(
        "Alertmanager",
        "its own /metrics",
        """alertmanager_alerts alertmanager_notifications_total alertmanager_notifications_failed_total""",
        local=True,
    ),
    _component(
        "embedded backend",
        "dashcam/store/own_metrics.py",
        """dashcam_receiver_requests_total dashcam_receiver_records_total dashcam_receiver_queue_records
        dashcam_receiver_queue_capacity_records dashcam_store_deleted_total dashcam_store_failures_total
        dashcam_store_transaction_seconds_bucket dashcam_store_transaction_seconds_count
        dashcam_store_used_bytes dashcam_store_limit_bytes dashcam_tail_lag_bytes""",
        local=True,
    ),
    _component(
        "OpenTelemetry Collector and Jaeger v2",
        "opentelemetry.io, Collector internal telemetry; Jaeger's monitoring mixin. Counters end in _total "
        "(a Prometheus reader without `without_type_suffix`)",
        """otelcol_receiver_accepted_spans_total otelcol_receiver_refused_spans_total
        otelcol_exporter_sent_spans_total otelcol_exporter_send_failed_spans_total
        otelcol_exporter_enqueue_failed_spans_total otelcol_exporter_queue_size
        otelcol_exporter_queue_capacity otelcol_process_memory_rss_bytes
        otelcol_receiver_accepted_log_records_total otelcol_elasticsearch_docs_processed_total
        jaeger_storage_requests_total jaeger_storage_latency_seconds_sum
        jaeger_storage_latency_seconds_count""",
    ),
    _component(
        "Fluent Bit",
        "docs.fluentbit.io, Monitoring, /api/v2/metrics/prometheus",
        """fluentbit_input_records_total fluentbit_input_bytes_total fluentbit_output_proc_records_total
        fluentbit_output_errors_total fluentbit_output_retries_total fluentbit_output_retries_failed_total
        fluentbit_output_dropped_records_total fluentbit_filter_drop_records_total
        fluentbit_output_chunk_available_capacity_percent fluentbit_input_ingestion_paused
        fluentbit_input_storage_overlimit""",
    ),
    _component(
        "elasticsearch_exporter",
        "prometheus-community/elasticsearch_exporter, README",
        """elasticsearch_cluster_health_status elasticsearch_cluster_health_unassigned_shards
        elasticsearch_filesystem_data_available_bytes elasticsearch_filesystem_data_size_bytes
        elasticsearch_indices_indexing_index_total elasticsearch_jvm_memory_used_bytes
        elasticsearch_jvm_memory_max_bytes elasticsearch_thread_pool_rejected_count""",
    ),
    _component(
        "kube-state-metrics",
        "kubernetes/kube-state-metrics, docs/metrics",
        """kube_pod_container_status_restarts_total kube_pod_container_status_waiting_reason
        kube_pod_container_status_last_terminated_reason kube_pod_container_resource_limits
        kube_pod_container_resource_requests kube_pod_status_phase
        kube_deployment_spec_replicas kube_deployment_status_replicas_available
        kube_deployment_status_condition kube_node_status_condition
        kube_statefulset_replicas kube_statefulset_status_replicas_ready
        kube_daemonset_status_desired_number_scheduled kube_daemonset_status_number_available
        kube_job_failed kube_job_status_active kube_job_status_start_time
        kube_horizontalpodautoscaler_status_current_replicas
        kube_horizontalpodautoscaler_spec_max_replicas""",
    ),
    _component(
        "cAdvisor and the kubelet",
        "google/cadvisor, docs/storage/prometheus.md; kubernetes.io, metrics reference",
        """container_cpu_usage_seconds_total container_cpu_cfs_throttled_periods_total
        container_cpu_cfs_periods_total container_memory_working_set_bytes container_memory_rss
        container_network_receive_bytes_total container_network_transmit_bytes_total
        kubelet_volume_stats_available_bytes kubelet_volume_stats_capacity_bytes
        kubelet_volume_stats_inodes kubelet_volume_stats_inodes_free container_oom_events_total""",
    ),
    _component(
        "node-exporter",
        "prometheus/node_exporter",
        """node_filesystem_avail_bytes node_filesystem_size_bytes
        node_filesystem_files node_filesystem_files_free""",
    ),
    _component(
        "certificates",
        "blackbox_exporter's ssl probes, or cert-manager",
        "probe_ssl_earliest_cert_expiry certmanager_certificate_expiration_timestamp_seconds",
    ),
)

ALL = frozenset(name for component in COMPONENTS for name in component.names)
LOCAL = frozenset(name for component in COMPONENTS if component.local for name in component.names)
