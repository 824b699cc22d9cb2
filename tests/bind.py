"""BIND (named) really running on loopback: some zones that take updates signed by one key, and a resolver for them.

with bind("example.com", "svc.test") as server:
    server.address, server.options("svc.test"), server.txt("_acme-challenge.example.com") …

The root zone is an empty one of its own, so no question ever leaves this machine.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.update

from tests.pebble import free_ports
from tests.servers import ServerError, bound, find_program, short_folder, stop, wait_until

KEY_NAME = "perennial-key"
KEY_SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0ISE="

_CONFIG = """
key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
controls {{ }};
options {{
    directory "{folder}"; pid-file "{folder}/named.pid"; session-keyfile none;
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion yes; allow-recursion {{ 127.0.0.1; }}; allow-query {{ any; }};
    dnssec-validation no; empty-zones-enable no; notify no; max-ncache-ttl 1;
}};
zone "." {{ type primary; file "root.db"; }};
"""
_ZONE = 'zone "{zone}" {{ type primary; file "{zone}.db"; allow-update {{ key "{key}"; }}; }};\n'
_NARROW = """zone "{zone}" {{
    type primary; file "{zone}.db"; update-policy {{ grant {key} zonesub TXT; }};
}};
"""
_RECORDS = """$TTL 60
@ SOA ns1.{zone} hostmaster.{zone} 1 60 60 600 1
@ NS ns1.{zone}
ns1.{zone} A 127.0.0.1
"""
_PLACES = os.pathsep.join(["/usr/sbin", "/usr/local/sbin"])


@dataclass(frozen=True)
class Bind:
    """A running server. It names itself, at 127.0.0.1, as the only name server of its zones."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def secrets(self) -> dict[str, str]:
        return {"key_secret": KEY_SECRET}

    @property
    def log(self) -> str:
        return (self.folder / "named.log").read_text("utf-8", "replace")

    @property
    def updates(self) -> list[str]:
        """What updates changed, in order: "adding an RR at …", "deleting an RR at …"."""
        return re.findall(r"updating zone '[^']+': ((?:add|delet)ing .+)", self.log)

    def options(self, zone: str) -> dict[str, str]:
        """The configuration of the RFC 2136 provider that writes to a zone; its secret is `secrets`."""
        return {"server": self.address, "zone": zone, "key_name": KEY_NAME, "key_algorithm": "hmac-sha256"}

    def set(self, zone: str, name: str, kind: str, *texts: str) -> None:
        """Have exactly these records of a type at a name, whatever there was."""
        update = dns.update.UpdateMessage(zone)
        update.use_tsig(dns.tsig.Key(KEY_NAME, KEY_SECRET))
        update.delete(f"{name}.", kind)
        for text in texts:
            update.add(f"{name}.", 60, kind, text)
        answer = dns.query.tcp(update, "127.0.0.1", timeout=5, port=self.port)
        assert answer.rcode() == dns.rcode.NOERROR, dns.rcode.to_text(answer.rcode())

    def txt(self, name: str) -> list[str]:
        """The TXT values at a name, or at the end of its CNAMEs."""
        query = dns.message.make_query(name, "TXT")
        answer = dns.query.tcp(query, "127.0.0.1", timeout=5, port=self.port)
        found = [record for rrset in answer.answer for record in rrset if record.rdtype.name == "TXT"]
        return [b"".join(record.strings).decode() for record in found]

    def answers(self) -> bool:
        try:
            query = dns.message.make_query(".", "SOA")
            answer = dns.query.tcp(query, "127.0.0.1", timeout=1, port=self.port)
        except (OSError, EOFError, dns.exception.DNSException):
            return False
        return answer.rcode() == dns.rcode.NOERROR


@contextmanager
def bind(*zones: str, narrow: Sequence[str] = ()) -> Iterator[Bind]:
    """Run a server for these zones; in `narrow` ones the key may change TXT records alone (see docs/operations.md)."""
    with short_folder("named") as folder:
        (port,) = free_ports(1)
        _write(folder, port, zones, narrow)
        command = [_program(), "-f", "-g", "-n", "1", "-c", str(folder / "named.conf")]
        with (folder / "named.log").open("wb") as log:
            process = subprocess.Popen(bound(command), stdout=log, stderr=log, cwd=folder)
        server = Bind(folder, port, process)
        try:
            wait_until(lambda: server.answers() or process.poll() is not None, what="named")
            if process.poll() is not None:
                raise ServerError(f"named: {server.log}")
            yield server
        finally:
            stop(process)


def _write(folder: Path, port: int, zones: Sequence[str], narrow: Sequence[str]) -> None:
    config = _CONFIG.format(key=KEY_NAME, secret=KEY_SECRET, folder=folder, port=port)
    (folder / "root.db").write_text(_RECORDS.format(zone="name-servers.invalid."))
    for zone in (*zones, *narrow):
        (folder / f"{zone}.db").write_text(_RECORDS.format(zone=f"{zone}."))
        config += (_NARROW if zone in narrow else _ZONE).format(zone=zone, key=KEY_NAME)
    (folder / "named.conf").write_text(config)


def _program() -> str:
    try:
        return find_program("named")
    except ServerError:
        places = [Path(place) / "named" for place in _PLACES.split(os.pathsep)]
        found = next((str(one) for one in places if one.exists()), None)
        if found is None:
            raise
        return found
