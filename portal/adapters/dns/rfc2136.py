"""TXT records by dynamic update (RFC 2136), signed with TSIG (RFC 8945) where a key is given.

Over TCP: an answer that is lost is noticed, and an unsigned one cannot be forged from aside.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import dns.exception
import dns.inet
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.update

from portal.adapters.dns.errors import refused, unavailable, wrong_setting
from portal.adapters.dns.lookup import parse_name, split_address
from portal.adapters.errors import AdapterError

#: Short: the record lives for minutes, and a resolver that cached its absence should look again soon.
TTL = 60
_PASSING = frozenset({dns.rcode.SERVFAIL})
_ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224")


class Rfc2136Dns:
    """`config`: server (address:port), zone, key_name, key_algorithm. `secrets`: key_secret (base64).

    The server adds a record that is there already, and deletes one that is not, without complaint (RFC 2136, 3.4.2).
    """

    def __init__(self, config: Mapping[str, str], secrets: Mapping[str, str], timeout: float) -> None:
        self._server = config.get("server", "")
        self._host, self._port = split_address(self._server)
        if not dns.inet.is_address(self._host):
            raise wrong_setting("server")
        self._zone = parse_name(config.get("zone", ""))
        self._key = _tsig_key(config, secrets)
        self._timeout = timeout

    def check(self) -> None:
        """An update of nothing: the server looks at its signature, and at whether this key may update the zone.

        A policy that names single records is not seen by it.
        """
        self._send(self._update())

    def add_txt(self, fqdn: str, value: str) -> None:
        name = self._inside(fqdn)
        update = self._update()
        update.add(name, TTL, "TXT", _quoted(value))
        self._send(update)

    def remove_txt(self, fqdn: str, value: str) -> None:
        name = self._inside(fqdn)
        update = self._update()
        update.delete(name, "TXT", _quoted(value))
        self._send(update)

    def _inside(self, fqdn: str) -> dns.name.Name:
        name = parse_name(fqdn)
        if not name.is_subdomain(self._zone):
            zone = self._zone.to_text(omit_final_dot=True)
            raise AdapterError("dns_outside_zone", permanent=True, name=fqdn, zone=zone)
        return name

    def _update(self) -> dns.update.UpdateMessage:
        update = dns.update.UpdateMessage(self._zone)
        if self._key is not None:
            update.use_tsig(self._key)
        return update

    def _send(self, update: dns.update.UpdateMessage) -> None:
        try:
            answer = dns.query.tcp(update, self._host, timeout=self._timeout, port=self._port)
        except dns.tsig.PeerError as error:
            raise refused(self._server, type(error).__name__) from None
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise unavailable(self._server, type(error).__name__) from None
        code = answer.rcode()
        if code == dns.rcode.NOERROR:
            return
        failure = unavailable if code in _PASSING else refused
        raise failure(self._server, dns.rcode.to_text(code))


def _quoted(value: str) -> str:
    """A character-string of a zone file (RFC 1035, 5.1); ours are base64url, 43 octets long."""
    if not value.isascii() or not value.isprintable() or '"' in value or "\\" in value or len(value) > 255:
        raise wrong_setting("value")
    return f'"{value}"'


def _tsig_key(config: Mapping[str, str], secrets: Mapping[str, str]) -> dns.tsig.Key | None:
    name, secret = config.get("key_name"), secrets.get("key_secret")
    if not name and not secret:
        return None
    algorithm = config.get("key_algorithm") or _ALGORITHMS[0]
    if not name or not secret or algorithm not in _ALGORITHMS:
        raise wrong_setting("key_name" if not name else "key_secret" if not secret else "key_algorithm")
    try:
        return dns.tsig.Key(name, base64.b64decode(secret, validate=True), algorithm)
    except (binascii.Error, ValueError, dns.exception.DNSException):
        raise wrong_setting("key_secret") from None
