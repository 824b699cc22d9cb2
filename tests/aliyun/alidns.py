"""AliDNS: zones and their records, with the fuzzy searches and the error codes of the service."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.aliyun.signature import Refusal

_LEAST_TTL, _LARGEST_PAGE = 600, 500


@dataclass(frozen=True)
class Record:
    id: str
    zone: str
    rr: str
    type: str
    value: str
    ttl: int

    def row(self) -> dict[str, Any]:
        return {
            "RecordId": self.id,
            "DomainName": self.zone,
            "RR": self.rr,
            "Type": self.type,
            "Value": self.value,
            "TTL": self.ttl,
            "Status": "ENABLE",
            "Locked": False,
        }


@dataclass
class AliDns:
    """`zones` are the account's domains. `most_rows` caps a page, so that few records already need several."""

    zones: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    most_rows: int = _LARGEST_PAGE
    _made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def txt(self, name: str) -> list[str]:
        """The TXT values at a name."""
        names = {one.id: one.zone if one.rr == "@" else f"{one.rr}.{one.zone}" for one in self.records}
        return [one.value for one in self.records if one.type == "TXT" and names[one.id] == name]

    def add(self, zone: str, rr: str, kind: str, value: str, ttl: int = _LEAST_TTL) -> Record:
        self._made += 1
        record = Record(str(900_000_000 + self._made), zone, rr, kind, value, ttl)
        self.records.append(record)
        return record

    def describe_domains(self, form: Mapping[str, str]) -> dict[str, Any]:
        """By substring (LIKE), unless the mode is EXACT."""
        word = form.get("KeyWord", "").lower()
        is_exact = form.get("SearchMode") == "EXACT"
        found = [zone for zone in self.zones if (zone == word if is_exact else word in zone)]
        return self._page(form, [{"DomainName": zone} for zone in found], "Domains", "Domain")

    def describe_domain_records(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Each keyword is a substring, and counts only in the mode COMBINATION."""
        zone = self._zone(form)
        is_combined = form.get("SearchMode") == "COMBINATION"
        rr, kind = (form.get(name, "") if is_combined else "" for name in ("RRKeyWord", "TypeKeyWord"))
        found = [one for one in self.records if one.zone == zone and rr in one.rr and kind in one.type]
        return self._page(form, [one.row() for one in found], "DomainRecords", "Record")

    def add_domain_record(self, form: Mapping[str, str]) -> dict[str, Any]:
        zone, ttl = self._zone(form), int(form.get("TTL", _LEAST_TTL))
        rr, kind, value = (form.get(name, "") for name in ("RR", "Type", "Value"))
        if ttl < _LEAST_TTL:
            raise Refusal(400, "InvalidTTL")
        if not rr or not kind or not value:
            raise Refusal(400, "MissingParameter")
        with self._lock:
            if any(
                (one.zone, one.rr, one.type, one.value) == (zone, rr, kind, value) for one in self.records
            ):
                raise Refusal(400, "DomainRecordDuplicate")
            return {"RecordId": self.add(zone, rr, kind, value, ttl).id}

    def delete_domain_record(self, form: Mapping[str, str]) -> dict[str, Any]:
        with self._lock:
            kept = [one for one in self.records if one.id != form.get("RecordId")]
            if len(kept) == len(self.records):
                raise Refusal(400, "DomainRecordNotBelongToUser")
            self.records[:] = kept
        return {"RecordId": form.get("RecordId")}

    def _zone(self, form: Mapping[str, str]) -> str:
        zone = form.get("DomainName", "")
        if zone not in self.zones:
            raise Refusal(404, "InvalidDomainName.NoExist")
        return zone

    def _page(
        self, form: Mapping[str, str], rows: list[dict[str, Any]], outer: str, inner: str
    ) -> dict[str, Any]:
        size, page = min(int(form.get("PageSize", 20)), self.most_rows), int(form.get("PageNumber", 1))
        shown = rows[(page - 1) * size : page * size]
        return {outer: {inner: shown}, "TotalCount": len(rows), "PageNumber": page, "PageSize": size}
