"""A network namespace joined to this one by a cable, in which packets can be dropped (Linux, root).

    with NetworkNamespace() as namespace, TcpProxy(server.port, host=namespace.address) as proxy:
        with namespace.entered():
            process = Popen(...)  # reaches the proxy, and nothing else
        namespace.drop(proxy.client_ports)

Dropped packets are what a host that vanished looks like, or a firewall that forgot a connection.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from tests.support.servers.lifecycle import ServerUnavailableError

#: From <linux/sched.h>.
CLONE_NEWNET: Final = 0x40000000

#: Of the range for links between two hosts (RFC 3927), a pair for each process that tests.
_LINK: Final = f"169.254.{os.getpid() % 250}"


class NetworkNamespace:
    """One host away from the servers."""

    def __init__(self) -> None:
        self._name = f"cratesort-{os.getpid()}"
        self._cable = f"cs{os.getpid()}"
        #: Of this end of the cable, where servers are reached.
        self.address = f"{_LINK}.1"

    def __enter__(self) -> Self:
        if sys.platform != "linux" or os.geteuid() != 0:
            raise ServerUnavailableError("network namespaces need Linux and root")
        if not (shutil.which("ip") and shutil.which("iptables")):
            raise ServerUnavailableError("apt-get install iproute2 iptables")
        try:
            _run("ip", "netns", "add", self._name)
        except subprocess.CalledProcessError as error:
            reason = f"no network namespace can be made here: {error.stderr.strip()}"
            raise ServerUnavailableError(reason) from error
        try:
            there = ("ip", "-n", self._name)
            _run(
                "ip", "link", "add", self._cable, "type", "veth", "peer", "far", "netns", self._name
            )
            _run("ip", "addr", "add", f"{self.address}/30", "dev", self._cable)
            _run("ip", "link", "set", self._cable, "up")
            _run(*there, "addr", "add", f"{_LINK}.2/30", "dev", "far")
            _run(*there, "link", "set", "far", "up")
            _run(*there, "link", "set", "lo", "up")
            self._iptables("-N", "DROPPED")  # fails here where the kernel has no such filter
        except subprocess.CalledProcessError as error:
            self.__exit__(None, None, None)
            reason = f"no packets can be filtered here: {error.stderr.strip()}"
            raise ServerUnavailableError(reason) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _run("ip", "netns", "del", self._name)  # with its end of the cable, and so with this one

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Start what this thread starts in the namespace."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{self._name}") as there:
            _enter(libc, there.fileno())
            try:
                yield
            finally:
                _enter(libc, here.fileno())

    def drop(self, ports: Iterable[int]) -> None:
        """Drop all packets of the connections of these ports of the namespace, in both directions.

        Connections that are made later have other ports.
        """
        for port in ports:
            self._iptables("-A", "OUTPUT", "-p", "tcp", "--sport", str(port), "-j", "DROP")
            self._iptables("-A", "INPUT", "-p", "tcp", "--dport", str(port), "-j", "DROP")

    def _iptables(self, *arguments: str) -> None:
        _run("ip", "netns", "exec", self._name, "iptables", *arguments)


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
