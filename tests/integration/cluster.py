"""Several processes of each service on one PostgreSQL and one Kafka of their own, all on 127.0.0.1: started, killed, stopped
and ended by tests."""
import contextlib
import json
import os
import pathlib
import select
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from ports import free_ports

HERE = pathlib.Path(__file__).resolve().parent
SERVICES = ["ticket_intake", "triage", "sla_timer", "survey", "account_health"]
# Exit codes of tandemctl with an answer: 3 is "no", as of an outreach check that says HOLD.
ANSWERED = (0, 3)
PEERS = {
    "ticket_intake": ["account_health", "triage"],
    "triage": ["ticket_intake", "account_health"],
    "sla_timer": ["ticket_intake"],
    "survey": ["account_health", "triage"],
    "account_health": ["ticket_intake", "triage"],
}
TOPIC = "tandem.lifecycle.v1"
SESSION_TIMEOUT_S = 6
READY_WITHIN_S = 40
DONE_WITHIN_S = 40


def fail(message):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {message}")


def expect(what, is_so, shown=""):
    if not is_so:
        fail(f"{what}: {shown}")
    print(f"{pathlib.Path(sys.argv[0]).name}: {what}", flush=True)


def with_option(words, option, value):
    """A command line with this value in the place of the one that stands there, if any."""
    words = list(words)
    if option in words:
        at = words.index(option)
        del words[at:at + 2]
    return [*words, option, value]


def until(what, reached, within_s=DONE_WITHIN_S, shown=lambda: ""):
    """Polls, for the programs have nobody to tell. `shown` says how it stands when it was not reached."""
    deadline = time.monotonic() + within_s
    while True:
        answer = reached()
        if answer:
            return answer
        if time.monotonic() > deadline:
            fail(f"{what}: not within {within_s} s {shown()}")
        select.select([], [], [], 0.2)


class Part:
    """A real server by its script: started here, ended here."""

    def __init__(self, name, folder):
        self.script, self.folder = HERE / name, folder
        started = subprocess.run([self.script, "start", folder], capture_output=True, text=True)
        if started.returncode == 77:
            print(started.stdout + started.stderr, end="")
            sys.exit(77)
        if started.returncode != 0:
            fail(f"{name} did not start: {started.stderr}")
        # Written for a shell: "NAME=value NAME=value".
        self.env = dict(word.split("=", 1) for word in shlex.split((folder / "env").read_text()))

    def tell(self, command):
        """kill, restart, pause or resume: waits until it is so."""
        done = subprocess.run([self.script, command, self.folder], capture_output=True, text=True)
        if done.returncode != 0:
            fail(f"{self.script.name} {command}: {done.stderr}")

    def stop(self):
        subprocess.run([self.script, "stop", self.folder], check=False, capture_output=True)


class Cluster:
    """`stack` (contextlib.ExitStack) ends whatever was started. `programs` holds the services' binaries, `tools` tandemctl."""

    def __init__(self, programs, folder, stack, replicas=2, tools=None, options=(), environment=None):
        self.programs, self.folder = pathlib.Path(programs), folder
        self.tools = pathlib.Path(tools or programs)
        self.replicas, self.options = range(replicas), list(options)
        self.environment = {**os.environ, **(environment or {})}
        self.postgres = Part("postgres", folder / "postgres")
        stack.callback(self.postgres.stop)
        self.kafka = Part("kafka", folder / "kafka")
        stack.callback(self.kafka.stop)
        self.brokers = self.kafka.env["BROKERS"]
        self.uri = self.postgres.env["URI"]
        ports = free_ports(2 * replicas * len(SERVICES))
        self.ports = {(service, replica): (ports.pop(), ports.pop()) for service in SERVICES for replica in self.replicas}
        self.running = {}
        stack.callback(self.end)

    def program(self, service):
        """Of the release that is started from now on: `programs`."""
        return str(self.programs / f"tandem-{service.replace('_', '-')}")

    def address(self, service, replica):
        return f"127.0.0.1:{self.ports[service, replica][0]}"

    def migrate(self):
        for service in SERVICES:
            subprocess.run([self.program(service), "migrate", "--store", self.uri], check=True, timeout=60,
                           capture_output=True)

    def sql(self, text):
        """As the superuser; the rows, a line each."""
        done = subprocess.run([f"{self.postgres.env['BIN']}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.uri, "-c", text],
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            fail(f"psql: {done.stderr}")
        return done.stdout

    def words(self, service, replica):
        """The command line of a process."""
        http = self.ports[service, replica][1]
        words = [self.program(service), "serve", "--store", self.uri, "--lanes", "2", "--bus", f"kafka:{self.brokers}",
                 "--create-topic", "--topic-replication", "1", "--allow-unsafe-topic",
                 "--session-timeout", f"{SESSION_TIMEOUT_S}s", "--listen", self.address(service, replica),
                 "--http-listen", f"127.0.0.1:{http}", *self.options]
        for peer in PEERS[service]:
            # All of them: a call that one does not answer goes to another.
            targets = ",".join(self.address(peer, one) for one in self.replicas)
            words += ["--peer", f"{peer}=ipv4:{targets}"]
        if service == "survey":
            words += ["--mailbox", str(self.folder / "mailbox")]
        return words

    def run(self, service, replica, words):
        with open(self.log(service, replica), "ab") as log:
            self.running[service, replica] = subprocess.Popen(words, stdout=log, stderr=log, env=self.environment)

    def start(self, service, replica):
        self.run(service, replica, self.words(service, replica))

    def start_all(self):
        for service in SERVICES:
            for replica in self.replicas:
                self.start(service, replica)

    def log(self, service, replica):
        return self.folder / f"{service}{replica}.log"

    def last_words(self, service, replica):
        return self.log(service, replica).read_text(errors="replace")[-2000:]

    def kill(self, service, replica, how=signal.SIGKILL):
        """Its exit code, once it has ended."""
        process = self.running.pop((service, replica))
        process.send_signal(how)
        return process.wait(timeout=60)

    def probe(self, service, replica, path):
        """(status, text) of /livez, /readyz or /healthz; (0, why) where nobody answers. Fails where the process has ended."""
        if self.running[service, replica].poll() is not None:
            fail(f"{service} {replica} ended: {self.last_words(service, replica)}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[service, replica][1]}{path}", timeout=2) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()
        except OSError as why:
            return 0, str(why)

    def is_ready(self, service, replica):
        return self.probe(service, replica, "/readyz")[0] == 200

    def refuses(self, service, *words, replica=0):
        """Whether /readyz is off for a reason that holds all the words, and the process lives."""
        return self.is_off("/readyz", service, *words, replica=replica)

    def is_off(self, path, service, *words, replica=0):
        """The same of /healthz, too."""
        status, text = self.probe(service, replica, path)
        return status == 503 and all(word in text for word in words) and self.probe(service, replica, "/livez")[0] == 200

    def all_healthy(self):
        return all(self.probe(*one, "/healthz")[0] == 200 for one in self.running)

    def all_ready(self):
        return all(self.is_ready(*one) for one in self.running)

    def readiness(self):
        """What each process says of itself, with the end of its log where it is not ready."""
        said = {one: self.probe(*one, "/readyz") for one in sorted(self.running)}
        return "".join(f"\n{one}: {text.strip()}\n{self.last_words(*one)}" for one, (status, text) in said.items() if status != 200)

    def await_ready(self, what="every process ready"):
        until(what, self.all_ready, READY_WITHIN_S, self.readiness)

    def ctl(self, service, replica, *words):
        """The answer, or None if it was refused or not given."""
        done = subprocess.run([str(self.tools / "tandemctl"), "--address", self.address(service, replica), *words,
                               "--output", "json"], capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout) if done.returncode in ANSWERED else None

    def ctl_any(self, service, *words):
        for replica in self.replicas:
            if (service, replica) in self.running:
                if answer := self.ctl(service, replica, *words):
                    return answer
        return None

    def end(self):
        for process in self.running.values():
            process.kill()
            process.wait()
