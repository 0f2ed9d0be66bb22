"""Ports for servers that tests start and that have to be told theirs."""
import pathlib
import random
import socket

LOWEST = 10000


def free_ports(count):
    """Free now, and outside the range from which the system gives ports to whoever asks for any meanwhile."""
    given_from = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = []
    for port in random.sample(range(LOWEST, max(given_from, LOWEST + 20000)), 1000):
        if len(ports) == count:
            break
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
    return ports
