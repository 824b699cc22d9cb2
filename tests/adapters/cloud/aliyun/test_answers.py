"""Each error code of Alibaba's that is known, and what it means to us."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from alibabacloud_tea_openapi.exceptions import ClientException, ServerException, ThrottlingException

from portal.adapters.cloud import errors
from portal.adapters.cloud.aliyun.answers import failure_of

CODES = [
    (400, "Throttling",                        errors.THROTTLED),
    (400, "Throttling.User",                   errors.THROTTLED),
    (400, "Throttling.Api",                    errors.THROTTLED),
    (503, "Throttling",                        errors.THROTTLED),
    (503, "ServiceUnavailable",                errors.UNAVAILABLE),
    (400, "ServiceUnavailable",                errors.UNAVAILABLE),
    (500, "InternalError",                     errors.UNAVAILABLE),
    (400, "InternalError",                     errors.UNAVAILABLE),
    (500, "SomethingNobodyKnows",              errors.UNAVAILABLE),
    (400, "SignatureNonceUsed",                errors.UNAVAILABLE),
    (400, "ServiceBusy",                       errors.BUSY),
    (500, "ServiceBusy",                       errors.BUSY),
    (400, "CreateCertificateFailed",           errors.BUSY),
    (400, "CertStorage.failed",                errors.BUSY),
    (400, "Waf.Pullin.ResourceProcessing",     errors.BUSY),
    (400, "LastOperationNotFinished",          errors.BUSY),
    (403, "Forbidden.RAM",                     errors.PERMISSION),
    (403, "NoPermission",                      errors.PERMISSION),
    (400, "IllegalOperation",                  errors.PERMISSION),
    (403, "OperationDenied",                   errors.PERMISSION),
    (404, "CdnServiceNotFound",                errors.PERMISSION),
    (400, "Waf.Instance.ValidFaild",           errors.PERMISSION),
    (404, "InvalidAccessKeyId.NotFound",       errors.CREDENTIALS),
    (403, "InvalidAccessKeyId.Inactive",       errors.CREDENTIALS),
    (400, "SignatureDoesNotMatch",             errors.CREDENTIALS),
    (404, "InvalidDomain.NotFound",            errors.TARGET_GONE),
    (404, "InvalidDomainName.NoExist",         errors.TARGET_GONE),
    (400, "InvalidDomain.Offline",             errors.TARGET_REFUSED),
    (400, "InvalidDomain.notOnline",           errors.TARGET_REFUSED),
    (400, "DomainInSafeMode",                  errors.TARGET_REFUSED),
    (400, "DomainInProtectedMode",             errors.TARGET_REFUSED),
    (400, "Waf.Pullin.MustListenHTTPS",        errors.TARGET_REFUSED),
    (400, "Certificate.FormatError",           errors.CERTIFICATE_REFUSED),
    (400, "Certificate.MissMatch",             errors.CERTIFICATE_REFUSED),
    (400, "Certificate.Expired",               errors.CERTIFICATE_REFUSED),
    (400, "Certificate.StatusError",           errors.CERTIFICATE_REFUSED),
    (400, "Certificate.NotFind",               errors.CERTIFICATE_REFUSED),
    (400, "Certificate.KeyNull",               errors.CERTIFICATE_REFUSED),
    (400, "InvalidSSLPub",                     errors.CERTIFICATE_REFUSED),
    (400, "InvalidSSLPri",                     errors.CERTIFICATE_REFUSED),
    (400, "Key.Malformed",                     errors.CERTIFICATE_REFUSED),
    (400, "InvalidCertificate.TooLong",        errors.CERTIFICATE_REFUSED),
    (400, "Abs.CertRegion.ValueNotSupported",  errors.CERTIFICATE_REFUSED),
    (400, "NotMatch.CertificateAndPrivateKey", errors.CERTIFICATE_REFUSED),
    (400, "InvalidTimeStamp.Expired",          errors.CLOCK),
    (400, "SomethingNobodyKnows",              errors.REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("status", "theirs", "ours"), CODES)
def test_codes_have_their_class(status: int, theirs: str, ours: str) -> None:
    kind = ServerException if status >= 500 else ClientException
    failure = failure_of(
        kind(status_code=status, code=theirs, message="text", request_id="R-1"), "SomeAction"
    )
    assert (failure.code, failure.permanent) == (ours, ours not in errors.TEMPORARY)
    assert failure.params == {"action": "SomeAction", "cloud_code": theirs, "request_id": "R-1"}


def test_a_wait_that_the_cloud_asks_for_is_kept() -> None:
    failure = failure_of(
        ThrottlingException(status_code=400, code="Throttling.User", retry_after=90_000), "SomeAction"
    )
    assert failure.not_before is not None
    assert abs(failure.not_before - datetime.now(UTC) - timedelta(seconds=90)) < timedelta(seconds=5)


def test_codes_from_the_other_side_are_cut_to_plain_words() -> None:
    failure = failure_of(ClientException(status_code=400, code="<b>KEY\n" * 40, request_id="a b\x00"), "A")
    assert failure.params == {"action": "A", "cloud_code": ("bKEY" * 40)[:64], "request_id": "ab"}
