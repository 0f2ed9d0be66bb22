"""Customers, agents and success managers as gRPC clients, and the ledger of what they were told.

Every command carries a request id and is sent again, to any process of the service, until there is an answer: that is what the
API promises to be safe.
"""
import collections
import itertools
import random
import threading
import time

import grpc

PACKAGES = {"intake": "ticket_intake", "triage": "triage", "sla": "sla_timer", "survey": "survey", "account": "account_health"}
PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED,
           grpc.StatusCode.ABORTED, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN}
ATTEMPT_S = 3
CHANNEL = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000),
           ("grpc.min_reconnect_backoff_ms", 100)]


class Answer:
    """`reply`, or the code of a refusal and its text; `attempts` sent between `began` and `ended` (seconds since 1970)."""

    def __init__(self):
        self.reply, self.code, self.text, self.attempts = None, None, "", 0
        self.began = self.ended = time.time()

    @property
    def ok(self):
        return self.reply is not None


class Clients:
    def __init__(self, cluster, messages, patience_s=90):
        self.messages, self.patience_s = messages, patience_s
        self.channels = {
            service: [grpc.insecure_channel(cluster.address(service, replica), CHANNEL) for replica in cluster.replicas]
            for service in PACKAGES.values()}
        self.turns = itertools.count()
        self.counts = collections.Counter()
        self.surprises = []
        self.lock = threading.Lock()

    def call(self, method, patience_s=None, **fields):
        """The Answer of "package.v1.Service/Method": keeps asking while what comes back may pass."""
        full = f"tandem.{method}"
        request_type, _ = self.messages.method(full)
        request = request_type(**fields)
        channels = self.channels[PACKAGES[method.split(".")[0]]]
        answer = Answer()
        patience_s = self.patience_s if patience_s is None else patience_s
        pause = 0.05
        while True:
            channel = channels[next(self.turns) % len(channels)]
            answer.attempts += 1
            try:
                answer.reply = self.messages.caller(channel, full)(
                    request, timeout=ATTEMPT_S, metadata=[("tandem-caller", "chaos")])
                answer.code = grpc.StatusCode.OK
            except grpc.RpcError as error:
                answer.code, answer.text = error.code(), error.details()
            answer.ended = time.time()
            with self.lock:
                self.counts[answer.code.name] += 1
                if answer.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.UNIMPLEMENTED):
                    self.surprises.append(f"{method}: {answer.code.name}: {answer.text}")
            if answer.code not in PASSING or answer.ended - answer.began > patience_s:
                return answer
            time.sleep(pause)
            pause = min(1, pause * 2)


class Ticket:
    """What a customer and the agents were told of one ticket; `unsure` once a command about it got no answer at all."""

    def __init__(self, subject, account, contact, critical):
        self.subject, self.account, self.contact, self.critical = subject, account, contact, critical
        self.id, self.opened_at, self.state = None, None, "NEW"
        self.message_ids, self.owner, self.unsure = set(), None, False
        self.resolutions = self.reopenings = 0
        self.opened = None            # the Answer of OpenTicket
        self.resolving = []           # [(sent, answered or None)] of ResolveTicket, by our clock
        self.reopening = []


class Check:
    """One CheckOutreach: `allowed`, by our clock between `began` and `ended`."""

    def __init__(self, account, answer):
        self.account, self.began, self.ended = account, answer.began, answer.ended
        self.allowed = answer.ok and answer.reply.verdict == 1
        self.clearance = answer.reply.clearance_id if answer.ok else ""
        self.answered = answer.ok
        self.single = answer.attempts == 1


class Load:
    def __init__(self, clients, seed, accounts=24, agents=12):
        self.clients, self.seed = clients, seed
        self.number = clients.messages.number
        self.accounts, self.contacts, self.agents = [], {}, []
        self.account_count, self.agent_count = accounts, agents
        self.tickets, self.checks, self.touches = [], [], []
        self.claims = []  # (ticket id, staff id) that were acknowledged
        self.faults = []  # what no client may ever see
        self.lock = threading.Lock()
        self.requests = itertools.count(1)

    def request_id(self):
        return f"chaos-{self.seed}-{next(self.requests)}"

    def must(self, method, **fields):
        answer = self.clients.call(method, request_id=self.request_id(), **fields)
        if not answer.ok:
            raise RuntimeError(f"{method}: {answer.code}: {answer.text}")
        return answer.reply

    def prepare(self):
        """Accounts with contacts and a team, agents on duty: before anything is broken."""
        make = self.clients.messages.make
        for i in range(self.agent_count):
            staff = make("tandem.triage.v1.Staff", staff_id=f"stf_agent{i}", function=self.number("StaffFunction", "STAFF_FUNCTION_SUPPORT"),
                         roles=[self.number("StaffRole", "STAFF_ROLE_SUPPORT_AGENT")], display_name=f"Agent {i}",
                         support_level=self.number("SupportLevel", "SUPPORT_LEVEL_L3"), queues=["support", "incidents"],
                         capacity=1000, active=True)
            self.must("triage.v1.StaffService/PutStaff", staff=staff)
            self.must("triage.v1.StaffService/SetAvailability", staff_id=staff.staff_id, available=True)
            self.agents.append(staff.staff_id)
        success = make("tandem.triage.v1.Staff", staff_id="stf_success", function=self.number("StaffFunction", "STAFF_FUNCTION_CSM"),
                       roles=[self.number("StaffRole", "STAFF_ROLE_CSM")], display_name="Success", active=True)
        self.must("triage.v1.StaffService/PutStaff", staff=success)
        for i in range(self.account_count):
            account = make("tandem.account.v1.Account", account_id=f"acct_company{i}", display_name=f"Company {i}", segment=1 + i % 3, stage=4, domains=[f"company{i}.example"])
            account_id = self.must("account.v1.AccountService/PutAccount", account=account).account_id
            self.accounts.append(account_id)
            self.contacts[account_id] = []
            for j in range(3):
                contact = make("tandem.account.v1.Contact", contact_id=f"ctc_{i}_{j}", account_id=account_id, display_name=f"Person {i}.{j}", level=1 + j,
                               addresses=[f"person{j}@company{i}.example"])
                self.contacts[account_id].append(
                    (self.must("account.v1.AccountService/PutContact", contact=contact).contact_id, contact.addresses[0]))

    def run(self, tickets, threads, until_time):
        """Lives of tickets until there are so many; never beginning one after `until_time()` says so."""
        left = iter(range(tickets))
        stop = threading.Event()

        def work(index):
            rng = random.Random(f"{self.seed}.{index}")
            while not stop.is_set() and not until_time():
                with self.lock:
                    number = next(left, None)
                if number is None:
                    return
                try:
                    self.life(rng, number)
                except Exception as why:  # a defect of this program must not look like peace
                    with self.lock:
                        self.faults.append(f"the load itself: {type(why).__name__}: {why}")

        def watch():
            rng = random.Random(f"{self.seed}.success")
            while not stop.wait(rng.uniform(0.02, 0.1)):
                self.reach_out(rng)

        workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
        watchers = [threading.Thread(target=watch) for _ in range(2)]
        for one in workers + watchers:
            one.start()
        for one in workers:
            one.join()
        stop.set()
        for one in watchers:
            one.join()

    def send(self, rng, method, **fields):
        """A command, now and then sent once more as a nervous client does: the answer has to be the same."""
        request_id = self.request_id()
        answer = self.clients.call(method, request_id=request_id, **fields)
        if answer.ok and rng.random() < 0.1:
            again = self.clients.call(method, request_id=request_id, **fields)
            if again.ok and again.reply != answer.reply:
                with self.lock:
                    self.faults.append(f"{method}: request {request_id} was answered in two ways")
            elif not again.ok and again.code not in PASSING:
                with self.lock:
                    self.faults.append(f"{method}: request {request_id} was taken, and then refused: {again.code.name}: {again.text}")
        return answer

    def life(self, rng, number):
        account = rng.choice(self.accounts)
        contact, address = rng.choice(self.contacts[account])
        critical = rng.random() < 0.15
        ticket = Ticket(f"Chaos {self.seed} {number}", account, contact, critical)
        who = {"contact_id": contact} if rng.random() < 0.5 else {"address": address}
        ticket.opened = self.send(
            rng, "intake.v1.TicketService/OpenTicket", requester=who, subject=ticket.subject, text="It does not work.",
            channel=1 + number % 5, origin=1, product="console", impact=1 if critical else rng.choice([2, 3]),
            urgency=1 if critical else rng.choice([2, 3]))
        with self.lock:
            self.tickets.append(ticket)
        if not ticket.opened.ok:
            ticket.unsure = True
            return
        ticket.id, ticket.opened_at = ticket.opened.reply.ticket_id, ticket.opened.reply.opened_at.ToMicroseconds()
        ticket.message_ids.add(ticket.opened.reply.message_id)
        agent = rng.choice(self.agents)
        if rng.random() < 0.8:
            time.sleep(rng.uniform(0, 2.5))  # some within the first-response time, some not
            self.message(rng, ticket, 2, agent, 3 if rng.random() < 0.3 else 0)
            if ticket.state == "PENDING" and rng.random() < 0.8:
                time.sleep(rng.uniform(0, 1))
                self.message(rng, ticket, 1, contact, 0)
        self.claim(rng, ticket)
        if ticket.owner is None or ticket.unsure or rng.random() < 0.15:
            return
        self.resolve(rng, ticket)
        if ticket.state == "RESOLVED" and rng.random() < 0.2:
            self.reopen(rng, ticket)
            if ticket.state == "OPEN" and rng.random() < 0.8:
                self.resolve(rng, ticket)
        if ticket.state == "RESOLVED" and rng.random() < 0.6:
            answer = self.send(rng, "intake.v1.TicketService/CloseTicket", ticket_id=ticket.id, reason=1, staff_id=ticket.owner)
            self.settle(ticket, answer, "CLOSED")

    def settle(self, ticket, answer, state):
        if answer.ok:
            ticket.state = state
        elif answer.code in PASSING:
            ticket.unsure = True
        else:
            with self.lock:
                self.faults.append(f"{ticket.id} was {ticket.state} and may not be {state}: {answer.code.name}: {answer.text}")

    def message(self, rng, ticket, author_kind, author, new_state):
        answer = self.send(rng, "intake.v1.TicketService/AddMessage", ticket_id=ticket.id, author_kind=author_kind, author_id=author,
                           visibility=1, text="Here is more.", new_state=new_state)
        if not answer.ok:
            self.settle(ticket, answer, ticket.state)
            return
        ticket.message_ids.add(answer.reply.message_id)
        name = {1: "NEW", 2: "OPEN", 3: "PENDING", 4: "ON_HOLD", 5: "RESOLVED", 6: "CLOSED"}
        ticket.state = name[answer.reply.state]

    def claim(self, rng, ticket):
        """One or two agents take it; of two at most one gets it. The ticket has to reach triage first."""
        agents = rng.sample(self.agents, 2 if rng.random() < 0.3 else 1)
        answers = {}

        def take(agent):
            request_id = self.request_id()
            deadline = time.time() + self.clients.patience_s
            while True:
                answer = self.clients.call("triage.v1.TriageService/AcceptAssignment", request_id=request_id, ticket_id=ticket.id,
                                           staff_id=agent)
                if answer.code != grpc.StatusCode.NOT_FOUND or time.time() > deadline:
                    answers[agent] = answer
                    return
                time.sleep(0.2)

        others = [threading.Thread(target=take, args=(agent,)) for agent in agents[1:]]
        for one in others:
            one.start()
        take(agents[0])
        for one in others:
            one.join()
        owners = [agent for agent, answer in answers.items() if answer.ok]
        if any(answer.code in PASSING for answer in answers.values()):
            ticket.unsure = True
        with self.lock:
            if len(owners) > 1:
                self.faults.append(f"{ticket.id} was given to {' and '.join(owners)}")
            self.claims += [(ticket.id, agent) for agent in owners]
            for agent, answer in answers.items():
                if answer.code == grpc.StatusCode.NOT_FOUND:
                    self.faults.append(f"{ticket.id} was acknowledged and did not reach triage in {self.clients.patience_s} s")
        ticket.owner = owners[0] if owners else None

    def resolve(self, rng, ticket):
        sent = time.time()
        ticket.resolving.append((sent, None))
        answer = self.send(rng, "intake.v1.TicketService/ResolveTicket", ticket_id=ticket.id, resolved_by=1, resolution_code="fixed",
                           answer="It works again.", staff_id=ticket.owner)
        self.settle(ticket, answer, "RESOLVED")
        if answer.ok:
            ticket.resolving[-1] = (sent, answer.ended)
            ticket.resolutions += 1
            if answer.reply.message_id:
                ticket.message_ids.add(answer.reply.message_id)

    def reopen(self, rng, ticket):
        sent = time.time()
        answer = self.send(rng, "intake.v1.TicketService/ReopenTicket", ticket_id=ticket.id, staff_id=ticket.owner)
        self.settle(ticket, answer, "OPEN")
        if answer.ok:
            ticket.reopening.append((sent, answer.ended))
            ticket.reopenings += 1

    def reach_out(self, rng):
        account = rng.choice(self.accounts)
        contact, _ = rng.choice(self.contacts[account])
        topic = self.number("OutreachTopic", "OUTREACH_TOPIC_RENEWAL")
        answer = self.clients.call("account.v1.OutreachService/CheckOutreach", request_id=self.request_id(), account_id=account,
                                   contact_id=contact, topic=topic, staff_id="stf_success")
        check = Check(account, answer)
        with self.lock:
            self.checks.append(check)
            if not answer.ok and answer.code not in PASSING:
                self.faults.append(f"CheckOutreach of {account}: {answer.code.name}: {answer.text}")
        if check.allowed and rng.random() < 0.3:
            touch = self.clients.call("account.v1.OutreachService/RecordTouch", request_id=self.request_id(), account_id=account,
                                      contact_id=contact, topic=topic, staff_id="stf_success", minutes=5, clearance_id=check.clearance)
            with self.lock:
                self.touches.append((account, touch))
