"""Calls of the services as another program makes them: python's grpcio, by the published protos."""
import uuid

import grpc

from cluster import SERVICES, fail

PACKAGES = {"ticket_intake": "intake", "triage": "triage", "sla_timer": "sla", "survey": "survey", "account_health": "account"}


class Calls:
    """Of the first process of every service. A channel that lost its server knocks again soon."""

    def __init__(self, cluster, messages):
        self.messages = messages
        self.channels = {service: grpc.insecure_channel(cluster.address(service, 0), [
            ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]) for service in SERVICES}

    def call(self, service, method, **fields):
        """(code, reply or what was said)."""
        name = f"tandem.{PACKAGES[service]}.v1.{method}"
        request_type, _ = self.messages.method(name)
        ask = self.messages.caller(self.channels[service], name)
        try:
            return grpc.StatusCode.OK, ask(request_type(**fields), timeout=30, metadata=[("tandem-caller", "calls")])
        except grpc.RpcError as error:
            return error.code(), error.details()

    def open_ticket(self):
        return self.call("ticket_intake", "TicketService/OpenTicket", request_id=uuid.uuid4().hex, subject="Nobody can sign in",
                         requester={"address": "ada@acme.example"}, text="Since this morning.", channel="CHANNEL_API",
                         origin="ORIGIN_CUSTOMER", impact="IMPACT_HIGH", urgency="URGENCY_HIGH")

    def must_open_ticket(self):
        code, reply = self.open_ticket()
        if code != grpc.StatusCode.OK:
            fail(f"OpenTicket: {code.name}: {reply}")
        return reply.ticket_id

    def read(self, service):
        return self.call(service, "PolicyService/GetPolicy")

    def write(self, service, policy):
        return self.call(service, "PolicyService/ApplyPolicy", request_id=uuid.uuid4().hex, policy=policy)

    def has_clock(self, ticket):
        return self.call("sla_timer", "SlaService/GetTicketSla", ticket_id=ticket)[0] == grpc.StatusCode.OK
