"""BIND twice: one server that holds zones, signed, unsigned and wrongly signed, and one that resolves and validates.

The resolver asks the first server for everything and trusts the keys of the signed zones alone (RFC 4033, 5): what lies
outside them is insecure, as most of the world is.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query

from tests.servers import ServerError, bound, find_program, short_folder, stop, wait_until

_SBIN = "/usr/sbin"
_ROOT = "\n".join(
    ["$TTL 60", ". SOA ns.test. admin.test. 1 60 60 60 60", ". NS ns.test.", "ns.test. A 127.0.0.1"]
)


@dataclass(frozen=True)
class SignedZones:
    """Both addresses are 127.0.0.1:port. `resolver` validates; `unvalidating` is the same without doing so."""

    authority: str
    resolver: str
    unvalidating: str


@contextmanager
def signed_zones(
    plain: Mapping[str, Sequence[str]],
    signed: Mapping[str, Sequence[str]],
    broken: Mapping[str, Sequence[str]],
) -> Iterator[SignedZones]:
    """Serve these zones (records by zone, without SOA and NS). One that is broken was changed after it was signed."""
    with short_folder("bind") as folder:
        folder.chmod(0o755)
        zones = {name: _write(folder, name, lines) for name, lines in plain.items()}
        anchors = []
        for name, lines in {**signed, **broken}.items():
            path, anchor = _sign(folder, name, _write(folder, name, lines))
            zones[name] = path
            anchors.append(anchor)
        for name in broken:
            _spoil(zones[name])
        (folder / "root.zone").write_text(_ROOT + "\n")
        zones["."] = folder / "root.zone"
        with (
            _authority(folder, zones) as authority,
            _resolver(folder, "yes", authority, anchors) as resolver,
            _resolver(folder, "no", authority, []) as unvalidating,
        ):
            yield SignedZones(*(f"127.0.0.1:{port}" for port in (authority, resolver, unvalidating)))


def _write(folder: Path, name: str, lines: Sequence[str]) -> Path:
    head = [
        "$TTL 60",
        f"$ORIGIN {name}.",
        f"@ SOA ns.{name}. admin.{name}. 1 60 60 86400 60",
        f"@ NS ns.{name}.",
    ]
    path = folder / f"{name}.zone"
    path.write_text("\n".join([*head, "ns A 127.0.0.1", *lines]) + "\n")
    return path


def _sign(folder: Path, name: str, path: Path) -> tuple[Path, str]:
    """The signed file, and the trust anchor as named.conf has it."""
    key = _run(folder, "dnssec-keygen", "-a", "ECDSAP256SHA256", "-f", "KSK", name).strip()
    _run(folder, "dnssec-signzone", "-S", "-z", "-o", name, "-K", str(folder), path.name)
    public = (folder / f"{key}.key").read_text()
    found = re.search(r"DNSKEY\s+(\d+)\s+(\d+)\s+(\d+)\s+(.+)", public)
    assert found is not None
    flags, protocol, algorithm, data = found.groups()
    return path.with_name(
        path.name + ".signed"
    ), f'"{name}" static-key {flags} {protocol} {algorithm} "{data}";'


def _spoil(path: Path) -> None:
    """Change every address after the signatures were made."""
    text = path.read_text()
    spoiled = re.sub(r"(\sA\s+)192\.0\.2\.\d+", r"\g<1>192.0.2.99", text)
    spoiled = re.sub(r'(\sTXT\s+)"', r'\g<1>"spoiled ', spoiled)
    spoiled = re.sub(r"(\sCAA\s+)0 ", r"\g<1>1 ", spoiled)
    path.write_text(spoiled)


def _run(folder: Path, program: str, *options: str) -> str:
    made = subprocess.run(
        [_find(program), *options], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    if made.returncode:
        raise ServerError(f"{program}: {made.stderr}")
    return made.stdout


def _find(program: str) -> str:
    return shutil.which(program, path=_SBIN) or find_program(program)


@contextmanager
def _authority(folder: Path, zones: Mapping[str, Path]) -> Iterator[int]:
    listed = [f'zone "{name}" {{ type primary; file "{path}"; }};' for name, path in zones.items()]
    with _named(folder, "authority", ["recursion no;", "dnssec-validation no;"], listed) as port:
        yield port


@contextmanager
def _resolver(folder: Path, validation: str, authority: int, anchors: Sequence[str]) -> Iterator[int]:
    options = [
        "recursion yes;",
        f"dnssec-validation {validation};",
        "forward only;",
        f"forwarders {{ 127.0.0.1 port {authority}; }};",
        "max-ncache-ttl 0;",
        "max-cache-ttl 0;",
        "servfail-ttl 0;",
    ]
    trusted = [f"trust-anchors {{ {' '.join(anchors)} }};"] if anchors else []
    with _named(folder, f"resolver-{validation}", options, trusted) as port:
        yield port


@contextmanager
def _named(folder: Path, name: str, options: Sequence[str], more: Sequence[str]) -> Iterator[int]:
    """Run named on a free port of loopback."""
    port, place = _free_port(), folder / name
    place.mkdir()
    common = [
        f'directory "{place}";',
        f"listen-on port {port} {{ 127.0.0.1; }};",
        "listen-on-v6 { none; };",
        "pid-file none;",
        "allow-query { any; };",
    ]
    text = ["options {", *common, *options, "};", "controls {};", *more]
    (place / "named.conf").write_text("\n".join(text) + "\n")
    command = [_find("named"), "-g", "-4", "-n", "1", "-c", str(place / "named.conf")]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(bound(command), stdout=log, stderr=log, cwd=place)
    try:
        wait_until(lambda: process.poll() is not None or _answers(port), what="named")
        if process.poll() is not None:
            raise ServerError(f"named: {(place / 'log').read_text()[-2000:]}")
        yield port
    finally:
        stop(process)


def _free_port() -> int:
    """A port that is free for UDP and TCP at this moment."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        port: int = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        return port


def _answers(port: int) -> bool:
    try:
        dns.query.udp(dns.message.make_query(".", "SOA"), "127.0.0.1", timeout=0.3, port=port)
    except (dns.exception.DNSException, OSError):
        return False
    return True
