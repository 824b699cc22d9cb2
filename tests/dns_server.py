"""A small DNS server for tests: answers queries over UDP and TCP, takes RFC 2136 updates of its zone, checks TSIG.

Written on dnspython; it knows TXT and CNAME, and does what RFC 2136, 3.4.2 says of adding and deleting a record.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.rrset
import dns.tsig
import dns.update


@dataclass
class DnsServer:
    """`records` maps lower-case names (without the last dot) to record texts by type. `rcode` answers everything; the
    next `failures` answers are SERVFAIL. `meanwhile` is called, once, before the next answer is given.
    """

    zone: str
    key: dns.tsig.Key | None = None
    records: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    rcode: dns.rcode.Rcode | None = None
    is_silent: bool = False
    failures: int = 0
    meanwhile: Callable[[], None] | None = None
    updates: int = 0
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def alias(self, name: str, target: str) -> None:
        self.records[name] = {"CNAME": [f"{target}."]}

    def txt(self, name: str) -> list[str]:
        """The TXT values at a name, without their quotes."""
        return [text.strip('"') for text in self.records.get(name, {}).get("TXT", [])]

    def respond(self, wire: bytes) -> bytes | None:
        """The answer to a message; None for silence."""
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        if self.is_silent:
            return None
        try:
            message = dns.message.from_wire(wire, keyring=self.key or {})
        except (dns.message.UnknownTSIGKey, dns.tsig.BadKey, dns.tsig.BadAlgorithm):
            return _refusal(wire, dns.rcode.BADKEY)
        except dns.tsig.BadSignature:
            return _refusal(wire, dns.rcode.BADSIG)
        answer = dns.message.make_response(message)
        answer.set_rcode(self.rcode if self.rcode is not None else self._work_on(message, answer))
        return bytes(answer.to_wire())

    def _work_on(self, message: Any, answer: Any) -> dns.rcode.Rcode:
        if self.failures:
            self.failures -= 1
            return dns.rcode.SERVFAIL
        if message.opcode() == dns.opcode.UPDATE:
            return self._update(message)
        return self._query(message, answer)

    def _query(self, message: Any, answer: Any) -> dns.rcode.Rcode:
        question = message.question[0]
        name, kind = question.name, dns.rdatatype.to_text(question.rdtype)
        found = self.records.get(name.canonicalize().to_text(omit_final_dot=True))
        if found is None:
            return dns.rcode.NXDOMAIN
        # An alias is the answer to every question (RFC 1034, 3.6.2); following it is left to who asks.
        kind = kind if kind in found else "CNAME"
        if texts := found.get(kind):
            answer.answer.append(dns.rrset.from_text_list(name, 60, "IN", kind, texts))
        return dns.rcode.NOERROR

    def _update(self, message: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        if self.key is not None and not message.had_tsig:
            return dns.rcode.REFUSED
        if message.zone[0].name != dns.name.from_text(self.zone):
            return dns.rcode.NOTAUTH
        for change in message.update:
            name = change.name.canonicalize().to_text(omit_final_dot=True)
            texts = self.records.setdefault(name, {}).setdefault("TXT", [])
            for record in change:
                if change.deleting == dns.rdataclass.NONE:
                    texts[:] = [text for text in texts if text != record.to_text()]
                elif record.to_text() not in texts:
                    texts.append(record.to_text())
        self.updates += 1
        return dns.rcode.NOERROR


def _refusal(wire: bytes, error: dns.rcode.Rcode) -> bytes:
    """NOTAUTH with a TSIG record that bears the error and no signature (RFC 8945, 5.2.1 to 5.2.3)."""
    message = dns.message.from_wire(wire, keyring=False)
    own = message.tsig[0]
    record = dns.rdtypes.ANY.TSIG.TSIG(
        own.rdclass, own.rdtype, own.algorithm, own.time_signed, own.fudge, b"", message.id, error, b""
    )
    data = record.to_wire()
    opcode_bits = int.from_bytes(wire[2:4], "big") & 0x7800
    head = struct.pack("!6H", message.id, 0x8000 | opcode_bits | dns.rcode.NOTAUTH, 0, 0, 0, 1)
    meta = struct.pack("!HHIH", own.rdtype, own.rdclass, 0, len(data))
    return head + message.tsig.name.to_wire() + meta + data


def _tcp(server: DnsServer) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        timeout = 10

        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.rfile.read(2))
            answer = server.respond(self.rfile.read(length))
            if answer is not None:
                self.wfile.write(struct.pack("!H", len(answer)) + answer)

    return Handler


def _udp(server: DnsServer) -> type[socketserver.DatagramRequestHandler]:
    class Handler(socketserver.DatagramRequestHandler):
        def handle(self) -> None:
            answer = server.respond(self.rfile.read())
            if answer is not None:
                self.wfile.write(answer)

    return Handler


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True


@contextmanager
def dns_server(
    zone: str, key: dns.tsig.Key | None = None, host: str = "127.0.0.1", port: int = 0
) -> Iterator[DnsServer]:
    """Run a server for `zone`; with `key`, updates must be signed by it."""
    server = DnsServer(zone, key)
    tcp = _TcpServer((host, port), _tcp(server))
    server.port = tcp.server_address[1]
    udp = _UdpServer((host, server.port), _udp(server))
    threads = [
        threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        for each in (tcp, udp)
    ]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        for each in (tcp, udp):
            each.shutdown()
            each.server_close()
        for thread in threads:
            thread.join(10)
