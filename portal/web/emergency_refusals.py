"""Error codes of revoking, of revocation lists, of chosen keys and of mass replacement, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

EMERGENCY: Mapping[str, Any] = {
    "cancel_renewal_first": _l(
        "A renewal of this certificate waits. Cancel it first; only for a compromised key is that not needed."
    ),
    "certificate_ambiguous": _l("More than one certificate in use fits. Give one of their ids: %(ids)s"),
    "certificate_not_hosted": _l("This certificate is not hosted."),
    "crl_broken": _l("The CA's revocation list cannot be read."),
    "crl_expired": _l("The CA's revocation list is out of date; what it says was heeded all the same."),
    "crl_not_signed": _l("The revocation list is not signed by the CA of the certificate."),
    "crl_of_something_else": _l("The revocation list is not about certificates like this one."),
    "crl_too_large": _l("The revocation list is larger than %(mib)s MiB and was not read."),
    "crl_unavailable": _l("The CA's revocation list cannot be fetched at the moment."),
    "csr_broken": _l("The certificate signing request cannot be read: its PEM text is damaged."),
    "csr_key_type": _l(
        "The key of the request must be RSA with 2048, 3072 or 4096 bits, or EC P-256 or P-384."
    ),
    "csr_names": _l(
        "The request must ask for exactly the names of the certificate. Missing: %(missing)s. Too many: %(extra)s."
    ),
    "csr_none": _l(
        "No certificate signing request found. It begins with “-----BEGIN CERTIFICATE REQUEST-----”."
    ),
    "csr_not_signed": _l("The request is not signed by its own key."),
    "csr_private_key": _l(
        "There is a private key among this. Keep it to yourself: paste the request alone, and make a new key."
    ),
    "csr_several": _l("More than one certificate signing request was given."),
    "key_reuse_without_key": _l(
        "The private key of this certificate is not stored here, so it cannot be used again."
    ),
    "key_type_not_offered": _l("Choose one of the key types that are offered."),
    "no_renewal_waits": _l("No renewal waits for this certificate."),
    "no_replacement_running": _l("No mass replacement of %(name)s is under way."),
    "nothing_to_replace": _l("There is no hosted certificate of this CA from before that day."),
    "renewal_scheduled": _l("A renewal of this certificate waits or is under way already."),
    "renewal_under_way": _l(
        "A renewal with the present key is being issued at this moment. Ask again once it has ended."
    ),
    "replacement_rate": _l("Give a number of certificates an hour between 1 and %(most)s."),
    "replacement_running": _l("A mass replacement of %(name)s is under way already."),
    "replacement_without_reason": _l("Please give a reason: it is kept in the audit trail."),
    "revocation_under_way": _l("This certificate is being revoked already."),
    "revoke_after_renewal": _l(
        "A renewal of this certificate is under way. It can be revoked once that is done."
    ),
    "revoke_elsewhere": _l(
        "This certificate was bought elsewhere: only the CA that issued it can revoke it. Ask there."
    ),
    "term_over": _l("The paid term of this hosting ended on %(ended_on)s."),
}
