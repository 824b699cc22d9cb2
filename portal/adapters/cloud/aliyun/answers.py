"""What Alibaba's error codes mean to us. The rows are tried in order; an unknown code goes by the HTTP status.

Sources: the error tables of the CAS, CDN, DCDN, WAF and Live API references. CAS documents few of its codes;
NameRepeat, NotMatch.CertificateAndPrivateKey and PrivateKeyFormatException were reported by users of the service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.adapters.cloud import errors
from portal.adapters.errors import AdapterError

#: "The same is there already": compare, and accept what is equal.
ALREADY_DONE = frozenset(
    {
        "Certificate.Duplicated",
        "CertNameAlreadyExists",
        "CertificateContent.Duplicated",
        "NameRepeat",
    }
)

_CODES: Mapping[str, tuple[str, ...]] = {
    errors.UNAVAILABLE: ("ServiceUnavailable", "InternalError", "SignatureNonceUsed"),
    errors.BUSY: (
        "ServiceBusy",
        "CreateCertificateFailed",
        "CertStorage.failed",
        "Waf.Pullin.ResourceProcessing",
        "LastOperationNotFinished",
    ),
    errors.CREDENTIALS: (
        "InvalidAccessKeyId.NotFound",
        "InvalidAccessKeyId.Inactive",
        "SignatureDoesNotMatch",
    ),
    errors.PERMISSION: (
        "Forbidden.RAM",
        "NoPermission",
        "IllegalOperation",
        "OperationDenied",
        "CdnServiceNotFound",
        "Waf.Instance.ValidFaild",
    ),
    errors.TARGET_GONE: ("InvalidDomain.NotFound", "InvalidDomainName.NoExist"),
    errors.TARGET_REFUSED: (
        "InvalidDomain.Offline",
        "InvalidDomain.notOnline",
        "DomainInSafeMode",
        "DomainInProtectedMode",
        "Waf.Pullin.MustListenHTTPS",
    ),
    errors.CERTIFICATE_REFUSED: (
        "Certificate.FormatError",
        "Certificate.MissMatch",
        "Certificate.Expired",
        "Certificate.StatusError",
        "Certificate.NotFind",
        "Certificate.KeyNull",
        "InvalidSSLPub",
        "InvalidSSLPri",
        "Key.Malformed",
        "InvalidCertificate.TooLong",
        "Abs.CertRegion.ValueNotSupported",
        "NotMatch.CertificateAndPrivateKey",
        "PrivateKeyFormatException",
        *ALREADY_DONE,
    ),
    errors.CLOCK: ("InvalidTimeStamp.Expired",),
}
_OURS = {theirs: ours for ours, codes in _CODES.items() for theirs in codes}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def failure_of(error: Any, action: str) -> AdapterError:
    """The AdapterError for an exception of the official core, made from its status and code alone.

    An exception without a status is a lost answer (time-out, reset, an HTML page instead of JSON): temporary, and
    what was asked for may have happened. `retry_after` (x-acs-retry-after, milliseconds) becomes `not_before`.
    """
    status, theirs = getattr(error, "status_code", None), getattr(error, "code", None)
    if not isinstance(status, int):
        return AdapterError(errors.UNAVAILABLE, permanent=False, action=action)
    ours = _ours(status, str(theirs))
    wait = getattr(error, "retry_after", None)
    return AdapterError(
        ours,
        permanent=ours not in errors.TEMPORARY,
        not_before=datetime.now(UTC) + timedelta(milliseconds=wait) if isinstance(wait, int) else None,
        action=action,
        cloud_code=_safe(str(theirs)),
        request_id=_safe(str(getattr(error, "request_id", "") or "")),
    )


def _ours(status: int, theirs: str) -> str:
    if "Throttling" in theirs or status == 429:
        return errors.THROTTLED
    known = _OURS.get(theirs)
    if status >= 500:
        return known if known in errors.TEMPORARY else errors.UNAVAILABLE
    return known or errors.REFUSED


def _safe(text: str) -> str:
    """A short word that can be shown and logged, whatever the other side wrote."""
    return _UNSAFE.sub("", text)[:64]
