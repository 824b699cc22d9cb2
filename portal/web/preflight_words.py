"""What a rehearsal found, and what the customer does about it: each sentence names the record to set.

Params: portal.services.name_looks and portal.domain.caa.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

PREFLIGHT: Mapping[str, Any] = {
    # CAA
    "caa_account_unknown": _l(
        "The CAA records of %(at)s allow one account at our CA. Ours is not registered yet, so they cannot be compared."
    ),
    "caa_allows": _l("The CAA records of %(at)s allow our CA."),
    "caa_closed": _l(
        "The CAA records of %(at)s forbid every CA to issue for %(name)s. "
        "Remove them, or add one for the CA of your order."
    ),
    "caa_critical_unknown": _l(
        "%(at)s has a critical CAA record “%(tag)s” that no CA may pass over. Remove it, or set its flags to 0."
    ),
    "caa_forbids": _l(
        "The CAA records of %(at)s do not allow our CA to issue for %(name)s (they allow: %(allowed)s). "
        "Add this record to them: %(record)s"
    ),
    "caa_identities_unknown": _l(
        "The CAA records of %(at)s allow %(allowed)s alone. If that is not the CA of your order, add a record for it."
    ),
    "caa_other_account": _l(
        "The CAA records of %(at)s allow our CA for another account only. Add this record to them: %(record)s"
    ),
    "caa_other_method": _l(
        "The CAA records of %(at)s do not allow our CA to validate %(name)s by %(method)s. "
        "Add this record to them: %(record)s"
    ),
    "caa_unrestricted": _l("No CAA record restricts who may issue for %(name)s."),
    # DNSSEC
    "credentials_work": _l("The DNS provider lets us write the validation record of %(name)s."),
    "delegation_elsewhere": _l(
        "The validation record of %(name)s leads to %(found)s instead of to us. Change it into: %(record)s"
    ),
    "delegation_loops": _l(
        "The validation record of %(name)s leads in a circle. Remove it and set this one: %(record)s"
    ),
    "delegation_missing": _l("%(name)s is not delegated to us yet. Set this record: %(record)s"),
    "delegation_right": _l("The validation record of %(name)s leads to us."),
    "delegation_zone_unready": _l(
        "Our own zone for validating %(name)s is not ready. The operator has been told; you need do nothing."
    ),
    "dnssec_bogus": _l(
        "The DNSSEC signatures of %(at)s are broken (%(type)s records): CAs get no answer. "
        "Have the zone signed anew at your DNS provider, or remove its DS record at the registrar."
    ),
    "dnssec_insecure": _l("%(name)s is not signed with DNSSEC, which is fine."),
    "dnssec_secure": _l("The DNSSEC signatures of %(name)s hold."),
    "dnssec_unknown": _l(
        "Whether %(name)s is signed rightly is not known: our resolver does not check DNSSEC."
    ),
    # Delegation and credentials
    "http_address_forbidden": _l(
        "%(name)s does not point at an address of the public Internet, so no CA reaches it. Set its A or AAAA record "
        "to a public address, or choose delegation."
    ),
    "http_answers": _l("http://%(name)s%(path)s leads to our answer."),
    "http_redirect_refused": _l(
        "%(url)s redirects to where no CA follows. Redirect http://%(name)s%(path)s straight to %(to)s, "
        "on port 80 or 443."
    ),
    "http_unreachable": _l(
        "%(url)s does not answer. Let %(name)s answer on port 80 and redirect %(path)s to %(to)s, or choose delegation."
    ),
    "http_wrong_answer": _l(
        "%(url)s gives another answer than ours (HTTP status %(status)s). Redirect or proxy http://%(name)s%(path)s "
        "to %(to)s."
    ),
    "method_fits": _l("%(name)s can be validated over HTTP."),
    "operators_dns_refused": _l(
        "Our own DNS access for validating %(name)s does not work. The operator has been told; you need do nothing."
    ),
    "record_place_found": _l("The validation record of %(name)s belongs at %(found)s."),
    # The way of validation
    "wildcard_needs_dns": _l(
        "A wildcard like %(name)s can be validated through DNS alone. Choose delegation or DNS credentials for it."
    ),
    # HTTP
}
