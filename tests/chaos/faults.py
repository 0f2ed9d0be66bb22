"""Faults, drawn from a seed: processes are killed, stopped and restarted, and so are the broker and the database."""
import collections
import random
import signal
import threading
import time

from cluster import SERVICES, SESSION_TIMEOUT_S


class Faults:
    """One thread makes them one after another. A process that ends although nobody has ended it is a defect, also while a server
    is away; it is restarted, as a supervisor would."""

    KINDS = {"kill": 6, "freeze": 3, "drain": 2, "kill_broker": 1, "freeze_broker": 1, "kill_database": 1}

    def __init__(self, cluster, seed, pace_s, kinds=None):
        self.cluster, self.rng, self.pace_s = cluster, random.Random(f"{seed}.faults"), pace_s
        self.kinds = {kind: self.KINDS[kind] for kind in (self.KINDS if kinds is None else kinds)}
        self.counts, self.story, self.defects = collections.Counter(), [], []
        self.stopped = threading.Event()
        self.began = time.monotonic()
        self.lock = threading.Lock()
        self.held = set()  # processes that a fault has in hand
        self.threads = []

    def start(self, *more):
        """The faults, and whatever else is to happen beside them."""
        for work in ([self.make] if self.kinds else []) + [self.supervise, *more]:
            self.threads.append(threading.Thread(target=work))
            self.threads[-1].start()

    def stop(self):
        """No more faults, and every process runs again."""
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        self.restart_the_ended()

    def tell(self, what):
        self.story.append(f"{time.monotonic() - self.began:6.1f} s  {what}")

    def make(self):
        while not self.stopped.wait(self.rng.uniform(0.3, 1.7) * self.pace_s):
            kind = self.rng.choices(list(self.kinds), list(self.kinds.values()))[0]
            self.counts[kind] += 1
            getattr(self, kind)()

    def victim(self):
        """A running process, kept from the supervisor until `release`."""
        with self.lock:
            one = self.rng.choice(sorted(self.cluster.running))
            self.held.add(one)
            return one

    def release(self, one):
        with self.lock:
            self.held.discard(one)

    def kill(self):
        # Now and then both processes of a service at once.
        services = [self.rng.choice(SERVICES)] if self.rng.random() < 0.2 else []
        victims = [(services[0], replica) for replica in self.cluster.replicas] if services else [self.victim()]
        with self.lock:
            self.held.update(victims)
            victims = [one for one in victims if one in self.cluster.running]
            for one in victims:
                self.cluster.kill(*one)
        self.tell(f"kill -9 {victims}")
        self.stopped.wait(self.rng.uniform(0.2, 3))
        with self.lock:
            for one in victims:
                self.cluster.start(*one)
            self.held.difference_update(victims)

    def drain(self):
        one = self.victim()
        with self.lock:
            code = self.cluster.kill(*one, how=signal.SIGTERM)
        self.tell(f"SIGTERM {one}, exit {code}")
        if code != 0:
            self.defects.append(f"{one} ended with {code} after SIGTERM: {self.cluster.last_words(*one)}")
        with self.lock:
            self.cluster.start(*one)
        self.release(one)

    def update(self, programs):
        """A rolling update: the next release's schema, then one process after another, the old ones beside the new."""
        self.cluster.programs = programs
        self.cluster.migrate()
        self.tell("the schema is the next release's")
        for one in [(service, replica) for replica in self.cluster.replicas for service in SERVICES]:
            with self.lock:
                code = self.cluster.kill(*one, how=signal.SIGTERM)
                self.cluster.start(*one)
            self.tell(f"{one} ended with {code} and is the next release's")
            if code != 0:
                self.defects.append(f"{one} ended with {code} after SIGTERM: {self.cluster.last_words(*one)}")
            self.stopped.wait(1)
        self.counts["update"] += 1

    def freeze(self):
        """Longer than their session: their partitions go to others, and then they wake up."""
        victims = {self.victim() for _ in range(self.rng.randint(1, 4))}
        self.tell(f"SIGSTOP {sorted(victims)}")
        for one in victims:
            self.cluster.running[one].send_signal(signal.SIGSTOP)
        self.stopped.wait(SESSION_TIMEOUT_S * self.rng.uniform(1.1, 1.8))
        for one in victims:
            self.cluster.running[one].send_signal(signal.SIGCONT)
            self.release(one)
        self.tell(f"SIGCONT {sorted(victims)}")

    def kill_broker(self):
        self.tell("kill -9 of the broker")
        self.cluster.kafka.tell("kill")
        self.stopped.wait(self.rng.uniform(0.5, 4))
        self.cluster.kafka.tell("restart")
        self.tell("the broker is back")

    def freeze_broker(self):
        self.tell("SIGSTOP of the broker")
        self.cluster.kafka.tell("pause")
        self.stopped.wait(self.rng.uniform(2, 10))
        self.cluster.kafka.tell("resume")
        self.tell("the broker goes on")

    def kill_database(self):
        self.tell("the database stops at once")
        self.cluster.postgres.tell("kill")
        self.stopped.wait(self.rng.uniform(0.5, 4))
        self.cluster.postgres.tell("restart")
        self.tell("the database is back")

    def supervise(self):
        while not self.stopped.wait(0.5):
            self.restart_the_ended()

    def restart_the_ended(self):
        with self.lock:
            for one, process in sorted(self.cluster.running.items()):
                if one in self.held or process.poll() is None:
                    continue
                self.counts["restart"] += 1
                self.tell(f"{one} ended with {process.returncode}")
                self.defects.append(f"{one} ended with {process.returncode}: {self.cluster.last_words(*one)}")
                self.cluster.start(*one)
