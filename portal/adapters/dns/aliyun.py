"""TXT records at AliDNS (2015-01-09), the DNS service of Alibaba Cloud.

Records have ids, and only ours are touched: a value is looked for among the TXT records of its very host record (RR)
before it is added, and deleted by the id that was found for it. "There already" and "gone already" count as done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from portal.adapters.cloud import errors as cloud
from portal.adapters.cloud.aliyun.client import AliyunClient
from portal.adapters.cloud.base import CloudSettings
from portal.adapters.dns import errors
from portal.adapters.dns.lookup import parse_name
from portal.adapters.errors import AdapterError

#: The least that every edition of the service takes.
TTL = 600
_PAGE = 100
_HOST = "alidns.aliyuncs.com"
#: What the host record of a zone's own name is called.
_APEX = "@"

_CODES: Mapping[str, str] = {
    cloud.THROTTLED: errors.THROTTLED,
    cloud.UNAVAILABLE: errors.UNAVAILABLE,
    cloud.BUSY: errors.UNAVAILABLE,
    cloud.CREDENTIALS: errors.CREDENTIALS,
    cloud.PERMISSION: errors.PERMISSION,
    cloud.TARGET_GONE: errors.ZONE_MISSING,
    cloud.CLOCK: cloud.CLOCK,
}
_ADDED_ALREADY = "DomainRecordDuplicate"
_GONE_ALREADY = frozenset({"DomainRecordNotBelongToUser", "InvalidRecordId.NotFound", "NoSuchDomainRecord"})
#: The records are held back while another change of them, or of the domain, is being made.
_LOCKED = frozenset({"DomainRecordLocked", "DomainRecordConflict.Locked", "LastOperationNotFinished"})


class AliyunDns:
    """`config`: access_key_id, and endpoint where another is wanted. `secrets`: access_key_secret."""

    def __init__(self, config: Mapping[str, str], secrets: Mapping[str, str], timeout: float) -> None:
        endpoint = config.get("endpoint")
        settings = CloudSettings(
            config={"access_key_id": config.get("access_key_id", "")},
            secrets={"access_key_secret": secrets.get("access_key_secret", "")},
            endpoints={"alidns": endpoint} if endpoint else {},
            timeout=timeout,
        )
        self._client = AliyunClient(settings, "alidns", "2015-01-09", _HOST)

    def check(self) -> None:
        """A reading call: whether the key may write as well is seen when it does."""
        self._call("DescribeDomains", PageNumber=1, PageSize=1)

    def add_txt(self, fqdn: str, value: str) -> None:
        """1. Look: an earlier call may have succeeded with its answer lost. 2. Add. 3. Of two at once, one is told
        that the record is there already, which is believed once it has been seen.
        """
        zone, rr = self._place(fqdn)
        if self._record_ids(zone, rr, value):
            return
        try:
            self._call("AddDomainRecord", DomainName=zone, RR=rr, Type="TXT", Value=value, TTL=TTL)
        except AdapterError as error:
            if error.params.get("cloud_code") != _ADDED_ALREADY or not self._record_ids(zone, rr, value):
                raise

    def remove_txt(self, fqdn: str, value: str) -> None:
        """A name in none of our zones holds none of our records."""
        try:
            zone, rr = self._place(fqdn)
        except AdapterError as error:
            if error.code == errors.ZONE_MISSING:
                return
            raise
        for record_id in self._record_ids(zone, rr, value):
            self._delete(record_id)

    def _delete(self, record_id: str) -> None:
        try:
            self._call("DeleteDomainRecord", RecordId=record_id)
        except AdapterError as error:
            if error.params.get("cloud_code") not in _GONE_ALREADY:
                raise

    def _place(self, fqdn: str) -> tuple[str, str]:
        """The zone of the account that a name lies in (the longest there is) and the host record in it.

        Raises AdapterError("dns_zone_missing", permanent).
        """
        name = parse_name(fqdn).canonicalize().to_text(omit_final_dot=True)
        labels = name.split(".")
        for start in range(len(labels) - 1):
            zone = ".".join(labels[start:])
            if self._has_zone(zone):
                return zone, ".".join(labels[:start]) or _APEX
        raise AdapterError(errors.ZONE_MISSING, permanent=True, name=name)

    def _has_zone(self, zone: str) -> bool:
        """The search is by substring unless it is told to be exact; either way the names are compared here."""
        found = self._pages(
            "DescribeDomains", lambda body: _rows(body, "Domains", "Domain"), KeyWord=zone, SearchMode="EXACT"
        )
        return any(str(row.get("DomainName", "")).lower() == zone for row in found)

    def _record_ids(self, zone: str, rr: str, value: str) -> list[str]:
        """The ids of the records with exactly this host record, type and value (the search alone is too generous)."""
        found = self._pages(
            "DescribeDomainRecords",
            lambda body: _rows(body, "DomainRecords", "Record"),
            DomainName=zone,
            SearchMode="COMBINATION",
            RRKeyWord=rr,
            TypeKeyWord="TXT",
        )
        same = (rr, "TXT", value)
        return [
            str(row["RecordId"])
            for row in found
            if (str(row.get("RR", "")).lower(), row.get("Type"), _unquoted(str(row.get("Value", "")))) == same
        ]

    def _pages(
        self, action: str, rows_of: Callable[[Mapping[str, Any]], list[Mapping[str, Any]]], **wanted: str
    ) -> Iterator[Mapping[str, Any]]:
        page, seen = 1, 0
        while True:
            body = self._call(action, PageNumber=page, PageSize=_PAGE, **wanted)
            rows = rows_of(body)
            yield from rows
            page, seen = page + 1, seen + len(rows)
            if not rows or seen >= int(body.get("TotalCount") or 0):
                return

    def _call(self, action: str, **parameters: str | int) -> Mapping[str, Any]:
        try:
            return self._client.call(action, **parameters)
        except AdapterError as error:
            failure = _as_dns(error)
        raise failure


def _rows(body: Mapping[str, Any], outer: str, inner: str) -> list[Mapping[str, Any]]:
    return list((body.get(outer) or {}).get(inner) or [])


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _as_dns(error: AdapterError) -> AdapterError:
    """The same failure in the words of DNS; what is not known goes by whether it passes."""
    is_locked = error.params.get("cloud_code") in _LOCKED
    code = errors.UNAVAILABLE if is_locked else _CODES.get(error.code, errors.REFUSED)
    permanent = error.permanent and not is_locked
    params = {"server": _HOST, "detail": str(error.params.get("cloud_code") or "-"), **error.params}
    return AdapterError(code, permanent=permanent, not_before=error.not_before, **params)
