"""Debian's pebble (an ACME server) and pebble-challtestsrv (DNS and http-01 for it), really running on loopback.

with pebble(nonce_reject=20) as server:
    server.directory_url, server.ca_bundle, server.dns_address, server.management_url …
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import ServerError, bound, find_program, short_folder, stop, wait_until
from tests.tls import loopback_tls

_ISSUED = re.compile(r"Issued certificate serial ([0-9a-f]+)")
_PROBE_EVERY = 1.0
_PATIENCE = 3


@dataclass
class Pebble:
    """A running pair of servers. pebble forgets everything when it is restarted; its addresses stay."""

    folder: Path
    port: int
    dns_port: int
    management_port: int
    http_port: int
    environment: Mapping[str, str]
    probe_timeout: float = 3.0
    resolver: str | None = None
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def directory_url(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def ca_bundle(self) -> str:
        """PEM text: what the directory's own certificate is trusted by."""
        return loopback_tls().ca_bundle

    @property
    def ca_bundle_path(self) -> Path:
        return self.folder / "bundle.pem"

    @property
    def management_url(self) -> str:
        """challtestsrv's: POST /set-txt, /set-cname, /add-http01 …"""
        return f"http://127.0.0.1:{self.management_port}"

    @property
    def dns_address(self) -> str:
        return f"127.0.0.1:{self.dns_port}"

    @property
    def dns_options(self) -> dict[str, str]:
        """The configuration of the sandbox DNS provider that writes here."""
        return {"url": self.management_url, "server": self.dns_address}

    @property
    def log(self) -> str:
        return (self.folder / "pebble.log").read_text("utf-8", "replace")

    def issued(self) -> list[str]:
        """The serials (hex) of all certificates that were issued, in order of issuance."""
        return _ISSUED.findall(self.log)

    def call(self, command: str, **body: Any) -> None:
        """Tell challtestsrv something: call("set-cname", host="a.test.", target="b.test.")."""
        request = urllib.request.Request(f"{self.management_url}/{command}", json.dumps(body).encode())
        with _opener().open(request, timeout=5):
            return

    def restart(self) -> None:
        """Restart pebble: accounts, orders and issuing keys are gone, as when a CA loses its state."""
        with self._lock:
            self._stop_server()
            self._start_server()

    def answers(self) -> bool:
        """Whether the directory can be fetched."""
        try:
            with _opener(self.ca_bundle).open(self.directory_url, timeout=self.probe_timeout) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _start_server(self) -> None:
        command = [
            find_program("pebble"),
            "-config",
            str(self.folder / "config.json"),
            "-dnsserver",
            self.resolver or self.dns_address,
        ]
        environment = {"PATH": os.environ["PATH"], **self.environment}
        with (self.folder / "pebble.log").open("ab") as log:
            self._process = subprocess.Popen(
                bound(command), stdout=log, stderr=log, env=environment, cwd=self.folder
            )
        process = self._process
        wait_until(lambda: self.answers() or process.poll() is not None, what="pebble")
        if process.poll() is not None:
            raise ServerError(f"pebble: {self.log}")

    def _stop_server(self) -> None:
        if self._process is not None:
            stop(self._process, 2)

    def watch(self, ended: threading.Event) -> None:
        """Restart pebble where it died, or where it did not answer three times running."""
        missed = 0
        while not ended.wait(_PROBE_EVERY):
            with self._lock:
                missed = 0 if self.answers() else missed + 1
                is_dead = self._process is None or self._process.poll() is not None
                if not ended.is_set() and (is_dead or missed >= _PATIENCE):
                    self.restarts += 1
                    missed = 0
                    self._stop_server()
                    self._start_server()


def _opener(ca_bundle: str | None = None) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if ca_bundle:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=ca_bundle)))
    return urllib.request.build_opener(*handlers)


@contextmanager
def pebble(
    *,
    nonce_reject: int = 0,
    eab: Mapping[str, str] | None = None,
    http_port: int | None = None,
    validity_seconds: int | None = None,
    blocklist: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    probe_timeout: float = 3.0,
    resolver: str | None = None,
) -> Iterator[Pebble]:
    """Run both servers.

    `nonce_reject` is a percentage; `eab` maps key ids to base64url HMAC keys, and makes binding required; `http_port`
    is where http-01 is looked for (challtestsrv's own server by default); `environment` holds further PEBBLE_…
    variables, such as PEBBLE_VA_ALWAYS_VALID, PEBBLE_AUTHZREUSE or PEBBLE_CHAIN_LENGTH. pebble 2.4 panics where a name
    that is ordered is shorter than one in the `blocklist`: block short ones. A pebble that misses three probes of
    `probe_timeout` seconds is restarted. `resolver` (address:port) is asked in validations, in challtestsrv's stead.
    """
    variables = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": str(nonce_reject), **(environment or {})}
    with short_folder("pebble") as folder:
        port, dns_port, management_port, own_http_port = free_ports(4)
        server = Pebble(
            folder, port, dns_port, management_port, own_http_port, variables, probe_timeout, resolver
        )
        config = _config(server, http_port or own_http_port, eab, validity_seconds, blocklist)
        (folder / "config.json").write_text(json.dumps({"pebble": config}))
        server.ca_bundle_path.write_text(server.ca_bundle)
        with _challtestsrv(server):
            yield from _served(server)


def _served(server: Pebble) -> Iterator[Pebble]:
    ended = threading.Event()
    server._start_server()
    watchdog = threading.Thread(target=server.watch, args=(ended,), daemon=True)
    watchdog.start()
    try:
        yield server
    finally:
        ended.set()
        watchdog.join(30)
        server._stop_server()


def _config(
    server: Pebble,
    http_port: int,
    eab: Mapping[str, str] | None,
    validity_seconds: int | None,
    blocklist: Sequence[str],
) -> dict[str, Any]:
    certificate, key = loopback_tls().write(server.folder)
    config: dict[str, Any] = {
        "listenAddress": f"127.0.0.1:{server.port}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": http_port,
        "tlsPort": http_port,
        "ocspResponderURL": "",
        "domainBlocklist": list(blocklist),
        "externalAccountBindingRequired": eab is not None,
        "externalAccountMACKeys": dict(eab or {}),
    }
    return config | ({"certificateValidityPeriod": validity_seconds} if validity_seconds else {})


@contextmanager
def _challtestsrv(server: Pebble) -> Iterator[None]:
    command = [find_program("pebble-challtestsrv"), "-management", f"127.0.0.1:{server.management_port}"]
    command += ["-dns01", server.dns_address, "-http01", f"127.0.0.1:{server.http_port}"]
    command += ["-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]
    with (server.folder / "challtestsrv.log").open("wb") as log:
        process = subprocess.Popen(bound(command), stdout=log, stderr=log, cwd=server.folder)
    try:
        wait_until(lambda: _accepts(server.management_port), what="pebble-challtestsrv")
        wait_until(lambda: _accepts(server.dns_port), what="pebble-challtestsrv's DNS")
        yield
    finally:
        stop(process, 2)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports that are free for TCP and UDP both, as the kernel sees it now."""
    held: list[socket.socket] = []
    ports: list[int] = []
    deadline = time.monotonic() + 10
    while len(ports) < count and time.monotonic() < deadline:
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        held += [tcp, udp]
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(("127.0.0.1", tcp.getsockname()[1]))
        except OSError:
            continue
        ports.append(tcp.getsockname()[1])
    for one in held:
        one.close()
    return ports
