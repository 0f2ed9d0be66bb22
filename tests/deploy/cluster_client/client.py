"""What tests/deploy/cluster asks from inside the cluster. Prints one line of JSON.

usage: client.py connect           standard input: a line "HOST PORT open|closed" each; which of them came out otherwise
       client.py probe NAMESPACE   what /readyz and /healthz of every service of that namespace say, as {service: [status, status]}
       client.py ticket            opens a ticket of a customer, and waits for its clock, its timeline entry and a HOLD
       client.py open COUNT        opens so many tickets; their ids
       client.py clocks            standard input: ids of tickets; those that have got no clock
       client.py load [SERVICE…]   calls all five services until its standard input ends; calls of the SERVICEs wait for a
                                   server, all others fail without one

With TANDEM_TLS the calls are made by TLS, with the files tls.crt, tls.key and ca.crt of that folder.
"""
import collections
import errno
import json
import os
import pathlib
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration"))
import grpc
from cluster import SERVICES, fail, until
from messages import Messages

PACKAGES = {"ticket_intake": "intake", "triage": "triage", "sla_timer": "sla", "survey": "survey", "account_health": "account"}
ACCOUNT, CONTACT, ADDRESS = "cluster-test", "cluster-test-contact", "ada@cluster-test.example"
# A policy of the network takes effect when it likes; a dropped packet says nothing.
SETTLED_WITHIN_S, CONNECTS_WITHIN_S = 60, 3
DONE_WITHIN_S = 90
# One caller, between two calls of a service; every so many calls it comes by a new connection.
PACE_S, CALLS_A_CONNECTION = 0.05, 10


def stands(host, port):
    """open or closed; or, where the name is not found, why: that would say nothing about the connection."""
    try:
        address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][4]
    except socket.gaierror as why:
        return str(why)
    try:
        with socket.create_connection(address, CONNECTS_WITHIN_S):
            return "open"
    except OSError as why:
        is_refused = isinstance(why, TimeoutError) or why.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)
        return "closed" if is_refused else str(why)


def connect():
    """Each until it is as it has to be, side by side, for what is refused takes its time."""
    cases = [line.split() for line in sys.stdin]
    wrong = []

    def watch(host, port, wanted):
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while (found := stands(host, port)) != wanted:
            if time.monotonic() > deadline:
                wrong.append(f"{host}:{port} is {found}, not {wanted}")
                return

    threads = [threading.Thread(target=watch, args=(host, int(port), wanted)) for host, port, wanted in cases]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return {"tried": len(cases), "wrong": wrong}


def probe(namespace):
    """Through each Service, so that one that has no ready pod answers nothing."""
    def status(service, path):
        try:
            with urllib.request.urlopen(f"http://tandem-{service.replace('_', '-')}.{namespace}:9464{path}", timeout=5) as page:
                return page.status
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return 0

    return {service: [status(service, path) for path in ("/readyz", "/healthz")] for service in SERVICES}


class Calls:

    def __init__(self):
        self.messages = Messages(tempfile.mkdtemp())
        self.credentials = None
        if folder := os.environ.get("TANDEM_TLS"):
            read = [pathlib.Path(folder, name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt")]
            self.credentials = grpc.ssl_channel_credentials(*read)
        self.kept = {service: self.channel(service) for service in SERVICES}

    def channel(self, service):
        # A channel of its own has a connection of its own.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 100),
                   ("grpc.max_reconnect_backoff_ms", 1000),
                   ("grpc.min_reconnect_backoff_ms", 10000)]  # which is the time to connect in, too
        target = f"tandem-{service.replace('_', '-')}:7400"
        return (grpc.secure_channel(target, self.credentials, options) if self.credentials
                else grpc.insecure_channel(target, options))

    def call(self, service, method, fields, over=None, waits=False):
        """(code, reply or what was said)."""
        name = f"tandem.{PACKAGES[service]}.v1.{method}"
        request_type, _ = self.messages.method(name)
        ask = self.messages.caller(over or self.kept[service], name)
        try:
            return grpc.StatusCode.OK, ask(request_type(**fields), timeout=60 if waits else 20, wait_for_ready=waits,
                                           metadata=[("tandem-caller", "cluster-test")])
        except grpc.RpcError as error:
            return error.code(), error.details()

    def must(self, service, method, **fields):
        code, reply = self.call(service, method, fields, waits=True)
        if code != grpc.StatusCode.OK:
            fail(f"{method}: {code.name}: {reply}")
        return reply

    @staticmethod
    def opening(address=None):
        """Of somebody whom nobody knows, so that they do not all fall on one account."""
        request = uuid.uuid4().hex
        return {"request_id": request, "requester": {"address": address or f"{request}@stranger.example"},
                "subject": "Nobody can sign in", "text": "Since this morning.", "channel": "CHANNEL_API",
                "origin": "ORIGIN_CUSTOMER", "impact": "IMPACT_HIGH", "urgency": "URGENCY_HIGH"}

    def open_ticket(self, address=None):
        return self.must("ticket_intake", "TicketService/OpenTicket", **self.opening(address)).ticket_id

    def has_clock(self, ticket):
        code, reply = self.call("sla_timer", "SlaService/GetTicketSla", {"ticket_id": ticket})
        return code == grpc.StatusCode.OK and len(reply.clocks) > 0


def ticket():
    calls = Calls()
    calls.must("account_health", "AccountService/PutAccount", request_id=uuid.uuid4().hex, account={
        "account_id": ACCOUNT, "display_name": "Cluster test", "stage": "JOURNEY_STAGE_LOYALTY"})
    calls.must("account_health", "AccountService/PutContact", request_id=uuid.uuid4().hex, contact={
        "contact_id": CONTACT, "account_id": ACCOUNT, "display_name": "Ada", "addresses": [ADDRESS]})
    made = calls.open_ticket(ADDRESS)

    def blocks():
        """Why a renewal is held; nothing where it is not."""
        answer = calls.must("account_health", "OutreachService/CheckOutreach", request_id=uuid.uuid4().hex, account_id=ACCOUNT,
                            topic="OUTREACH_TOPIC_RENEWAL", preview=True)
        verdict = answer.DESCRIPTOR.fields_by_name["verdict"].enum_type.values_by_number[answer.verdict].name
        return answer.blocks if verdict == "OUTREACH_VERDICT_HOLD" else []

    until("the clock of a ticket", lambda: calls.has_clock(made), DONE_WITHIN_S)
    until("its entry in the account's timeline", lambda: made in str(calls.must(
        "account_health", "AccountService/GetTimeline", account_id=ACCOUNT, page_size=500)), DONE_WITHIN_S)
    until("HOLD for a renewal, because of the ticket", lambda: made in str(blocks()), DONE_WITHIN_S)
    return {"ticket": made, "rules": sorted({block.rule for block in blocks()})}


def open_tickets(count):
    calls = Calls()
    return [calls.open_ticket() for _ in range(count)]


def clocks():
    calls = Calls()
    missing = sys.stdin.read().split()

    def none_is_missing():
        missing[:] = [ticket_id for ticket_id in missing if not calls.has_clock(ticket_id)]
        return not missing

    deadline = time.monotonic() + DONE_WITHIN_S
    over = threading.Event()
    while not none_is_missing() and time.monotonic() < deadline:
        over.wait(0.5)
    return missing


def load(waiting):
    """Reads of all five, and new tickets. Whoever started this ends it by closing its standard input. A call that meets a connection
    just as its server closes it is UNAVAILABLE and made once more, as gRPC clients do; `repeated` counts them.
    """
    calls = Calls()
    over = threading.Event()
    lock = threading.Lock()
    count, repeated, longest, failed, tickets = collections.Counter(), collections.Counter(), collections.Counter(), [], []

    def ask(service, method, fields):
        turn = 0
        while not over.wait(PACE_S):
            turn += 1
            own = calls.channel(service) if turn % CALLS_A_CONNECTION == 0 else None
            began = time.monotonic()
            request = fields()
            code, reply = calls.call(service, method, request, own, service in waiting)
            is_repeated = code == grpc.StatusCode.UNAVAILABLE
            if is_repeated:
                code, reply = calls.call(service, method, request, own, service in waiting)
            took = time.monotonic() - began
            if own:
                own.close()
            with lock:
                count[service] += 1
                repeated[service] += is_repeated
                longest[service] = max(longest[service], round(took, 3))
                if code != grpc.StatusCode.OK:
                    failed.append(f"{time.strftime('%T')} {service} {method} {'new' if own else 'kept'}: {code.name}: {reply}")
                elif method.endswith("/OpenTicket"):
                    tickets.append(reply.ticket_id)

    threads = [threading.Thread(target=ask, args=(service, "PolicyService/GetPolicy", dict)) for service in SERVICES]
    threads.append(threading.Thread(target=ask, args=("ticket_intake", "TicketService/OpenTicket", calls.opening)))
    for one in threads:
        one.start()
    print("under load", flush=True)
    sys.stdin.read()
    over.set()
    for one in threads:
        one.join()
    return {"calls": count, "repeated": repeated, "longest_s": longest, "failed": failed, "tickets": tickets}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["connect"]:
            answer = connect()
        case ["probe", namespace]:
            answer = probe(namespace)
        case ["ticket"]:
            answer = ticket()
        case ["open", number]:
            answer = open_tickets(int(number))
        case ["clocks"]:
            answer = clocks()
        case ["load", *services]:
            answer = load(services)
        case _:
            sys.exit(__doc__)
    print(json.dumps(answer), flush=True)
