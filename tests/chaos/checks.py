"""What has to be true once nothing is broken any more: the ledger beside each service's state and the topic from its beginning.

Each check returns (what it counted, the faults that it found); it knows the services by their published API, the topic and the
audit of the databases alone.
"""
import collections
import itertools

from topic import read_all

FIRST_RESPONSE, RESOLUTION, TIME_TO_OWN = 1, 4, 5
MET, BREACHED = 1, 2
STATES = {1: "NEW", 2: "OPEN", 3: "PENDING", 4: "ON_HOLD", 5: "RESOLVED", 6: "CLOSED"}


def micros(timestamp):
    return timestamp.ToMicroseconds()


class Checks:
    def __init__(self, cluster, clients, load, audit, messages, targets_us, settle):
        self.cluster, self.clients, self.load, self.audit, self.messages = cluster, clients, load, audit, messages
        self.settle = settle  # waits until all that is published is applied; whether it is
        self.targets_us = targets_us  # of the chaos policy, by metric
        self.events, self.firsts = [], []

    def all(self, until_found=False):
        """[(name, counts, faults)]; with `until_found` no more than until there is a fault."""
        # Deadlines go on falling due: what was applied before the topic is read is in it, and what is in it is applied after.
        settled = self.settle()
        self.applied = self.audit.marks()
        self.events = read_all(self.cluster.brokers, self.messages)
        self.firsts = self._firsts()
        settled = self.settle() and settled
        checks = [self.clients_saw, self.positions_rise, self.applied_once, self.topic_is_sound, self.tickets_are_there,
                  self.topic_has_each_fact, self.causes_come_first, self.one_owner, self.clocks_judge_right, self.timers_once_never_early,
                  self.timelines_whole, self.clearances_kept, self.touches_once, self.surveys_once]
        results = [("converges", "", [] if settled else ["work is left though nothing is broken any more"])]
        for check in checks:
            if until_found and any(faults for _, _, faults in results):
                break
            results.append((check.__name__, *check()))
        return results

    def ask(self, method, **fields):
        answer = self.clients.call(method, patience_s=30, **fields)
        if not answer.ok:
            raise LookupError(f"{method}: {answer.code.name}: {answer.text}")
        return answer.reply

    def pages(self, method, field, **fields):
        token = ""
        while True:
            reply = self.ask(method, page_token=token, page_size=200, **fields)
            yield from getattr(reply, field)
            token = reply.next_page_token
            if not token:
                return

    def opened(self):
        return [ticket for ticket in self.load.tickets if ticket.id]

    def _firsts(self):
        """What a consumer that drops at or below the last sequence of a stream applies."""
        last, firsts = {}, []
        for event in self.events:
            if event.sequence > last.get(event.stream, 0):
                last[event.stream] = event.sequence
                firsts.append(event)
        return firsts

    def clients_saw(self):
        calls = sum(self.clients.counts.values())
        faults = self.load.faults + self.clients.surprises
        return f"{calls} calls: " + ", ".join(f"{n} {code}" for code, n in self.clients.counts.most_common()), faults

    def topic_is_sound(self):
        """Readable by a stranger, and nothing in it that a consumer would take for a duplicate though it is none."""
        faults = [f"{event.partition}@{event.offset} {event.type}: {defect}" for event in self.events for defect in event.defects]
        ids, applied = {event.id for event in self.events}, collections.Counter(event.id for event in self.firsts)
        faults += [f"event {id} stands behind a later one of its stream" for id in ids - set(applied)]
        faults += [f"event {id} has two sequences" for id, count in applied.items() if count > 1]
        places = {}
        for event in self.events:
            if places.setdefault(event.key, event.partition) != event.partition:
                faults.append(f"key {event.key} is in two partitions")
        return f"{len(self.events)} records, {len(ids)} events, {len(self.events) - len(ids)} published again", faults

    def tickets_are_there(self):
        """Each acknowledged ticket with its messages, its state and its account; and none that nobody asked for."""
        faults, messages = [], 0
        for ticket in self.opened():
            found, ids = None, set()
            token = ""
            try:
                while True:
                    reply = self.ask("intake.v1.TicketService/GetTicket", ticket_id=ticket.id, page_size=200, page_token=token)
                    found = reply.ticket
                    ids |= {message.message_id for message in reply.messages}
                    token = reply.next_page_token
                    if not token:
                        break
            except LookupError as why:
                faults.append(f"{ticket.id} was acknowledged and is lost: {why}")
                continue
            messages += len(ticket.message_ids)
            if lost := ticket.message_ids - ids:
                faults.append(f"{ticket.id}: acknowledged messages are lost: {sorted(lost)}")
            if not ticket.unsure and ids - ticket.message_ids:
                faults.append(f"{ticket.id}: messages that nobody was told of: {sorted(ids - ticket.message_ids)}")
            if not ticket.unsure and STATES[found.state] != ticket.state:
                faults.append(f"{ticket.id} is {STATES[found.state]}; acknowledged was {ticket.state}")
            if not ticket.unsure and (found.resolutions, found.reopenings) != (ticket.resolutions, ticket.reopenings):
                faults.append(f"{ticket.id}: {found.resolutions} resolutions and {found.reopenings} reopenings; acknowledged were "
                              f"{ticket.resolutions} and {ticket.reopenings}")
            if found.account_id != ticket.account:
                faults.append(f"{ticket.id} belongs to {found.account_id or 'nobody'}, not to {ticket.account}")
        known = {ticket.id for ticket in self.opened()}
        unsure = {ticket.subject for ticket in self.load.tickets if not ticket.id}
        for account in self.load.accounts:
            for found in self.pages("intake.v1.TicketService/ListTickets", "tickets", account_id=account):
                if found.ticket_id not in known and found.subject not in unsure:
                    faults.append(f"{found.ticket_id} of {account}: nobody opened it")
        return f"{len(known)} tickets, {messages} messages acknowledged", faults

    def topic_has_each_fact(self):
        """One event a fact: opened, each message, each resolution, triaged, accepted."""
        counts = collections.Counter((event.name, event.subject) for event in self.firsts)
        faults, facts = [], 0
        claims = collections.Counter(ticket for ticket, _ in self.load.claims)
        for ticket in self.opened():
            wanted = {"TicketOpened": 1, "TicketTriaged": 1}
            if not ticket.unsure:
                wanted |= {"TicketMessageAdded": len(ticket.message_ids), "TicketResolved": ticket.resolutions,
                           "TicketReopened": ticket.reopenings, "TicketClosed": int(ticket.state == "CLOSED"),
                           "AssignmentAccepted": claims[ticket.id]}
            for name, count in wanted.items():
                facts += count
                # An opening message belongs to TicketOpened; which messages have an event of their own the protos say.
                allowed = {count, count - 1} if name == "TicketMessageAdded" else {count}
                if counts[name, ticket.id] not in allowed:
                    faults.append(f"{ticket.id}: {counts[name, ticket.id]} {name} in the topic, {count} acknowledged")
        return f"{facts} acknowledged facts", faults

    def causes_come_first(self):
        place = {}
        for event in self.events:
            place.setdefault(event.id, (event.partition, event.offset))
        faults, caused = [], 0
        for event in self.firsts:
            cause = place.get(event.cause)
            if cause is None or cause[0] != event.partition:
                continue
            caused += 1
            if cause > (event.partition, event.offset):
                faults.append(f"{event.name} {event.id} stands before its cause {event.cause}")
        return f"{caused} events behind their causes", faults

    def applied_once(self):
        """By the databases' own account: no mark ever stood still or went back, and every used event was reached."""
        moves, again = self.audit.marks()
        faults = [f"applied again: {what}" for what in again]
        before, _ = self.applied
        by_stream = collections.defaultdict(dict)
        for event in self.firsts:
            by_stream["|".join(event.stream)][event.sequence] = event
        used = collections.defaultdict(set)  # service -> types that it applies
        for (service, stream), sequences in moves.items():
            for sequence in sequences:
                if sequence in by_stream[stream]:
                    used[service].add(by_stream[stream][sequence].type)
                elif sequence in before.get((service, stream), []):
                    faults.append(f"{service} applied event {sequence} of {stream}, which is not in the topic")
        reached = 0
        for service, types in used.items():
            for stream, events in by_stream.items():
                last = max((sequence for sequence, event in events.items() if event.type in types), default=0)
                if last == 0:
                    continue
                reached += 1
                applied = max(moves.get((service, stream), [0]))
                if applied < last:
                    faults.append(f"{service} did not apply event {last} of {stream} ({events[last].name}); it has {applied}")
        return f"{sum(map(len, moves.values()))} marks moved, {reached} streams at their end", faults

    def positions_rise(self):
        moves, faults = self.audit.position_faults()
        return f"{moves} moves", faults

    def one_owner(self):
        faults, owner, accepted = [], {}, 0
        for event in self.firsts:
            if event.name == "AssignmentAccepted":
                accepted += 1
                if owner.get(event.subject) not in (None, event.body.previous_staff_id or None):
                    faults.append(f"{event.subject}: {event.body.staff_id} accepted what {owner[event.subject]} owned")
                owner[event.subject] = event.body.staff_id
            elif event.name == "AssignmentReleased":
                owner[event.subject] = None
        told = dict(self.load.claims)
        for ticket in self.opened():
            if ticket.id in told and not ticket.unsure and owner.get(ticket.id, "") not in (told[ticket.id], None):
                faults.append(f"{ticket.id} belongs to {owner.get(ticket.id)}; {told[ticket.id]} was told so")
        return f"{accepted} assignments", faults

    def clocks_judge_right(self):
        """The verdicts recomputed here, from intake's facts alone."""
        faults, judged = [], collections.Counter()
        facts = collections.defaultdict(list)
        for event in self.firsts:
            if event.source == "ticket_intake":
                facts[event.subject].append(event)
        for ticket in self.opened():
            try:
                reply = self.ask("sla.v1.SlaService/GetTicketSla", ticket_id=ticket.id)
            except LookupError as why:
                faults.append(f"{ticket.id} has no clocks: {why}")
                continue
            as_of = micros(reply.as_of)
            clocks = {}
            for clock in reply.clocks:
                clocks.setdefault((clock.metric, clock.cycle), clock)
            for (metric, cycle), used, ended in self.expected(ticket, facts[ticket.id], as_of):
                clock = clocks.get((metric, cycle))
                if clock is None:
                    faults.append(f"{ticket.id}: no clock of metric {metric}")
                    continue
                target = self.targets_us[metric]
                # A deadline waits a little for facts under way before it judges.
                verdict = BREACHED if used > target else MET if ended else 0
                judged[verdict] += 1
                if clock.verdict != verdict and not (not ended and abs(used - target) < 5_000_000):
                    faults.append(f"{ticket.id}: metric {metric}: verdict {clock.verdict}, by the facts {verdict} "
                                  f"({used / 1e6:.3f} s of {target / 1e6:.0f} s)")
        return f"{judged[MET]} met, {judged[BREACHED]} breached, {judged[0]} running", faults

    @staticmethod
    def expected(ticket, facts, as_of):
        """[((metric, cycle), consumed microseconds, ended)] of the first response and of a resolution that was not reopened."""
        opened = ticket.opened_at
        response = min((micros(event.body.occurred_at) for event in facts
                        if event.name == "TicketMessageAdded" and event.body.author_kind == 2 and event.body.visibility == 1),
                       default=None)
        resolved = [micros(event.body.occurred_at) for event in facts if event.name == "TicketResolved"]
        if response is None and not resolved:
            yield (FIRST_RESPONSE, 1), as_of - opened, False
        elif response is not None and (not resolved or response <= resolved[0]):
            yield (FIRST_RESPONSE, 1), response - opened, True
        if any(event.name == "TicketReopened" for event in facts):
            return
        end = resolved[0] if resolved else as_of
        used, since, paused = 0, opened, False
        for event in sorted(facts, key=lambda event: event.sequence):
            if event.name != "TicketStateChanged":
                continue
            at = min(micros(event.body.occurred_at), end)
            used += 0 if paused else at - since
            since, paused = at, event.body.to_state == 3
        used += 0 if paused else end - since
        yield (RESOLUTION, 1), used, bool(resolved)

    def timers_once_never_early(self):
        """Each deadline judged once, and not before its instant."""
        faults, seen, early = [], collections.Counter(), 0
        for event in self.firsts:
            if event.name not in ("SlaBreached", "SlaWarning"):
                continue
            clock = event.body.clock
            which = (event.name, clock.ticket_id, clock.metric, clock.cycle, getattr(event.body, "threshold", ""))
            seen[which] += 1
            if event.body.HasField("fired_at") and micros(event.body.fired_at) < micros(event.body.occurred_at):
                early += 1
                faults.append(f"{which} fired before its instant")
        corrected = {event.body.corrected_event_id for event in self.firsts if event.name == "SlaVerdictCorrected"}
        faults += [f"{which} fired {count} times" for which, count in seen.items()
                   if count > 1 + len(corrected) * (which[0] == "SlaBreached")]
        return f"{sum(seen.values())} deadlines, {len(corrected)} corrected, {early} early", faults

    def timelines_whole(self):
        faults, entries = [], 0
        shown, per_account = set(), {}
        by_id = {event.id: event for event in self.firsts}
        for account in self.load.accounts:
            timeline = list(self.pages("account.v1.AccountService/GetTimeline", "entries", account_id=account, order=2))
            per_account[account] = timeline
            entries += len(timeline)
            shown |= {entry.type for entry in timeline}
            ids = [entry.event_id for entry in timeline if entry.event_id]
            faults += [f"{account}: {id} stands twice in the timeline" for id, count in collections.Counter(ids).items() if count > 1]
            for before, after in itertools.pairwise(timeline):
                if before.sequence >= after.sequence:
                    faults.append(f"{account}: the timeline's order breaks at {after.event_id}")
            # Of one key the timeline has the topic's order.
            places = collections.defaultdict(list)
            for id in ids:
                if id in by_id and by_id[id].source != "account_health":
                    places[by_id[id].key].append(by_id[id].offset)
            faults += [f"{account}: the timeline of key {key} is not in the topic's order" for key, offsets in places.items()
                       if offsets != sorted(offsets)]
        ids_of = {account: {entry.event_id for entry in timeline} for account, timeline in per_account.items()}
        for event in self.firsts:
            if event.type in shown and event.key in ids_of and event.id not in ids_of[event.key]:
                faults.append(f"{event.key}: {event.name} {event.id} is not in the timeline")
        return f"{entries} entries of {len(shown)} types", faults

    def clearances_kept(self):
        """No ALLOW while an acknowledged critical ticket was open from before the check to after it; none stands over an open one."""
        faults = []
        open_spans = collections.defaultdict(list)
        for ticket in self.opened():
            if not ticket.critical or not ticket.opened.reply.account_id:
                continue
            begun = ticket.opened.ended
            ends = [sent for sent, _ in ticket.resolving]
            returns = [answered for _, answered in ticket.reopening]
            for i in range(len(ends) + 1):
                start = begun if i == 0 else (returns[i - 1] if i <= len(returns) else None)
                if start is not None:
                    open_spans[ticket.account].append((start, ends[i] if i < len(ends) else float("inf"), ticket.id))
        allowed = held = 0
        for check in self.load.checks:
            if not check.answered:
                continue
            allowed += check.allowed
            held += not check.allowed
            # A check that was sent again may be answered by its first sending's decision: its beginning counts.
            for start, end, ticket in open_spans[check.account]:
                if check.allowed and start < check.began and check.ended < end:
                    faults.append(f"{check.account} was cleared ({check.clearance}) while {ticket} was open")
        for account in self.load.accounts:
            blocked = [ticket for start, end, ticket in open_spans[account] if end == float("inf")]
            standing = list(self.pages("account.v1.OutreachService/ListClearances", "clearances", account_id=account, standing_only=True))
            renewal = [one.clearance_id for one in standing if one.topic == 1]
            if blocked and renewal:
                faults.append(f"{account}: {renewal} stand over open {blocked}")
        return f"{allowed} cleared, {held} held", faults

    def touches_once(self):
        told = collections.Counter(account for account, touch in self.load.touches if touch.ok)
        unsure = collections.Counter(account for account, touch in self.load.touches if not touch.ok)
        faults = []
        for account in self.load.accounts:
            found = sum(1 for _ in self.pages("account.v1.OutreachService/ListTouches", "touches", account_id=account))
            if not told[account] <= found <= told[account] + unsure[account]:
                faults.append(f"{account}: {found} touches, {told[account]} acknowledged")
        return f"{sum(told.values())} touches", faults

    def surveys_once(self):
        """A resolution that was closed is asked about once."""
        faults, surveys, letters = [], 0, 0
        for ticket in self.opened():
            if ticket.unsure:
                continue
            found = list(self.pages("survey.v1.SurveyService/ListSurveys", "surveys", ticket_id=ticket.id))
            surveys += len(found)
            letters += sum(1 for one in found if one.HasField("delivered_at"))
            if len(found) != int(ticket.state == "CLOSED"):
                faults.append(f"{ticket.id} is {ticket.state} and has {len(found)} surveys")
        return f"{surveys} surveys, {letters} letters", faults

    def nothing_held_for_ever(self, until):
        """Once every ticket is closed nobody is held."""
        closed = 0
        for account in self.load.accounts:
            for found in self.pages("intake.v1.TicketService/ListTickets", "tickets", account_id=account):
                if STATES[found.state] != "CLOSED":
                    closed += 1
                    self.load.must("intake.v1.TicketService/CloseTicket", ticket_id=found.ticket_id, reason=3, staff_id=self.load.agents[0])
        held = {}

        def all_free():
            held.clear()
            for account in self.load.accounts:
                contact = self.load.contacts[account][0][0]
                reply = self.load.must("account.v1.OutreachService/CheckOutreach", account_id=account, contact_id=contact, topic=1,
                                       staff_id="stf_success")
                if reply.verdict != 1:
                    held[account] = [f"{block.rule} {block.subject_id}" for block in reply.blocks]
            return not held

        return f"{closed} tickets closed", [] if until(all_free) else [f"{account} is held by {why}" for account, why in held.items()]
