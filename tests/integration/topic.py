"""The lifecycle topic as any other program would read it: python's confluent-kafka, CloudEvents headers, bodies by the published
protos."""
import confluent_kafka
import confluent_kafka.admin

from cluster import TOPIC

REQUIRED = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_partitionkey", "ce_sequence", "ce_cause",
            "content-type"]


class Event:
    """One record. `defects` says what another program could not have read."""

    def __init__(self, record, messages):
        headers = [(name, value.decode()) for name, value in record.headers() or []]
        self.headers = dict(headers)
        self.partition, self.offset = record.partition(), record.offset()
        self.defects = [f"no header {name}" for name in REQUIRED if name not in self.headers]
        if len(headers) != len(self.headers):
            self.defects.append("a header twice")
        self.id, self.source = self.headers.get("ce_id", ""), self.headers.get("ce_source", "")
        self.type, self.subject = self.headers.get("ce_type", ""), self.headers.get("ce_subject", "")
        self.key, self.cause = self.headers.get("ce_partitionkey", ""), self.headers.get("ce_cause", "")
        self.time, self.sequence = self.headers.get("ce_time", ""), int(self.headers.get("ce_sequence", 0))
        self.traceparent = self.headers.get("traceparent", "")
        self.value = record.value() or b""
        if (record.key() or b"").decode() != self.key:
            self.defects.append("the record's key is not ce_partitionkey")
        try:
            self.body = messages.type(self.type).FromString(self.value)
        except Exception as why:  # whatever a decoder says
            self.body = None
            self.defects.append(f"no body of its type: {why}")

    @property
    def name(self):
        return self.type.rsplit(".", 1)[-1]

    @property
    def stream(self):
        return self.source, self.subject, self.key


def client(brokers, **options):
    return confluent_kafka.Consumer({
        "bootstrap.servers": brokers, "group.id": "outside", "enable.auto.commit": False, "auto.offset.reset": "error",
        **options})


def end_offsets(consumer):
    """{partition: the offset after its last record}."""
    partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    return {partition: consumer.get_watermark_offsets(confluent_kafka.TopicPartition(TOPIC, partition), timeout=10)[1]
            for partition in partitions}


def read_all(brokers, messages):
    """Every record of the topic from the beginning to its present end, by partition and offset."""
    consumer = client(brokers, **{"enable.partition.eof": True})
    try:
        ends = end_offsets(consumer)
        consumer.assign([confluent_kafka.TopicPartition(TOPIC, partition, 0) for partition in ends])
        open_partitions = {partition for partition, end in ends.items() if end > 0}
        events = []
        while open_partitions:
            record = consumer.poll(10)
            if record is None:
                raise TimeoutError(f"{TOPIC}: partitions {sorted(open_partitions)} do not go on")
            if record.error():
                if record.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    open_partitions.discard(record.partition())
                    continue
                raise confluent_kafka.KafkaException(record.error())
            events.append(Event(record, messages))
            if record.offset() + 1 >= ends[record.partition()]:
                open_partitions.discard(record.partition())
        return sorted(events, key=lambda event: (event.partition, event.offset))
    finally:
        consumer.close()


def create(brokers, partitions):
    """Makes the topic, as whoever runs the broker does."""
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([confluent_kafka.admin.NewTopic(TOPIC, partitions, 1)])[TOPIC].result(timeout=30)
