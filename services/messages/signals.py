"""What is emitted about messages, by OpenTelemetry's messaging conventions where they have a name for it."""

from __future__ import annotations

from observability.schema import LATENCY_BUCKETS, Field, Metric, Signals

SENDING = ("messaging_system", "messaging_operation_name", "messaging_destination_name", "error_type")
CONSUMING = (
    "messaging_system",
    "messaging_operation_name",
    "messaging_destination_name",
    "messaging_consumer_group_name",
)

SENT = Metric(
    "messaging_client_sent_messages",
    "counter",
    "Messages given to the broker; error_type says why it did not confirm one and is empty where it did.",
    SENDING,
    "{message}",
)
OPERATION_DURATION = Metric(
    "messaging_client_operation_duration_seconds",
    "histogram",
    "Duration of giving one message to the broker, its confirmation included; error_type says why not.",
    SENDING,
    "s",
    LATENCY_BUCKETS,
)
CONSUMED = Metric(
    "messaging_client_consumed_messages",
    "counter",
    "Messages that the broker delivered, repetitions included.",
    CONSUMING,
    "{message}",
)
PROCESS_DURATION = Metric(
    "messaging_process_duration_seconds",
    "histogram",
    "Duration of processing one delivery; error_type names what went wrong and is empty where nothing did.",
    (*CONSUMING, "error_type"),
    "s",
    LATENCY_BUCKETS,
)
REDELIVERED = Metric(
    "messaging_redelivered_messages",
    "counter",
    "Deliveries of a message after its first.",
    ("messaging_destination_name", "messaging_consumer_group_name"),
    "{message}",
)
DEAD_LETTERS = Metric(
    "messaging_dead_letters",
    "counter",
    "Messages that were given up and put aside, by why: unreadable, or tried too often.",
    ("messaging_destination_name", "messaging_consumer_group_name", "reason"),
    "{message}",
)
QUEUE_MESSAGES = Metric(
    "messaging_queue_messages",
    "gauge",
    "Messages at the broker that a consumer has not acknowledged, as who sends or consumes them last saw it.",
    ("messaging_destination_name", "messaging_consumer_group_name"),
    "{message}",
    across="max",
)
QUEUE_OLDEST = Metric(
    "messaging_queue_oldest_age_seconds",
    "gauge",
    "Age of the oldest message at the broker that a consumer has not acknowledged; 0 without any.",
    ("messaging_destination_name", "messaging_consumer_group_name"),
    "s",
    across="max",
)
STREAM_USED = Metric(
    "messaging_stream_used_ratio",
    "gauge",
    "Share of the room that the broker gives a stream which its messages take; a full one refuses more.",
    ("stream",),
    "1",
    across="max",
)
OUTBOX_MESSAGES = Metric(
    "messaging_outbox_messages",
    "gauge",
    "Messages stored with a change and not yet confirmed by the broker.",
    unit="{message}",
    across="max",
)
OUTBOX_OLDEST = Metric(
    "messaging_outbox_oldest_age_seconds",
    "gauge",
    "Age of the oldest of them; 0 without any.",
    unit="s",
    across="max",
)

LOG_FIELDS = (
    Field("messaging.message.id", "string", "The message that a line is about."),
    Field("messaging.message.conversation_id", "string", "What the message is about: an order's id."),
    Field("messaging.destination.name", "string", "The queue that it is in."),
    Field("messaging.operation.name", "string", "What was done with it: send or process."),
    Field("messaging.consumer.group.name", "string", "Who consumes it."),
)

SPAN_ATTRIBUTES = (
    Field("messaging.system", "string", "The broker's kind: nats."),
    Field("messaging.destination.name", "string", "The queue."),
    Field("messaging.operation.name", "string", "create, send or process."),
    Field("messaging.operation.type", "string", "The same, in the conventions' words."),
    Field("messaging.message.id", "string", "The message; a repetition has the same."),
    Field("messaging.message.conversation_id", "string", "What the message is about: an order's id."),
    Field("messaging.message.body.size", "int", "Bytes of the body."),
    Field("messaging.consumer.group.name", "string", "Who consumes it."),
    Field("messaging.message.delivery_count", "int", "How often this message has been delivered by now."),
)

SIGNALS = Signals(
    metrics=tuple(value for value in list(globals().values()) if isinstance(value, Metric)),
    log_fields=LOG_FIELDS,
    span_attributes=SPAN_ATTRIBUTES,
)
