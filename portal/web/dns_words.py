"""What goes wrong with DNS providers and their credentials, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

DNS: Mapping[str, Any] = {
    "choice_missing": _l("Choose one of the ways."),
    "delegation_probe_unseen": _l(
        "The trial record %(name)s was written, but the name servers of the zone do not show it."
    ),
    "delegation_zone_missing": _l("This service has no zone for delegations yet."),
    "dns_address_forbidden": _l(
        "The DNS server's address %(address)s is not one that may be reached from here."
    ),
    "dns_credential_in_use": _l("These DNS credentials are still needed for %(used_by)s."),
    "dns_credential_name_taken": _l("There are DNS credentials called %(name)s already."),
    "dns_credential_not_found": _l("There are no such DNS credentials."),
    "dns_credentials": _l("The DNS provider refuses the access key: it was deleted, disabled or mistyped."),
    "dns_delegation_foreign": _l(
        "The validation record of %(name)s leads to a record that belongs to another organisation."
    ),
    "dns_permission": _l("The access key may not change DNS records."),
    "dns_throttled": _l("The DNS provider allows no more requests at the moment."),
    "dns_zone_missing": _l("The DNS account has no zone for %(name)s."),
    "unknown_dns_provider": _l("There is no DNS provider called %(provider)s. There are: %(choices)s."),
}

_GIVE_KEY = _l("Give DNS credentials that may write TXT records in the zone of the domain.")

#: What the customer can do about it.
DNS_STEPS: Mapping[str, Any] = {
    "dns_address_forbidden": _l("Name a DNS server that is reachable from the Internet."),
    "dns_credentials": _GIVE_KEY,
    "dns_delegation_foreign": _l(
        "Choose delegation for the domain, and set the record that is shown for it."
    ),
    "dns_permission": _GIVE_KEY,
    "dns_zone_missing": _GIVE_KEY,
}
