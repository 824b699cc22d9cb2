"""What operators must never see of a traceback, and what they must go on seeing."""

from __future__ import annotations

import pytest

from portal.services.redaction import MOST_CHARACTERS, last_line, redact
from tests import pki

SECRET = "Xk29vQ7zLm41TrWb83NyHd"


@pytest.mark.parametrize(
    "text",
    [
        f"https://user:{SECRET}@ca.example/acme",
        f"redis://:{SECRET}@localhost:6379/0",
        f"password={SECRET}",
        f"'password': '{SECRET}'",
        f'"access_key_secret": "{SECRET}"',
        f"AccessKeySecret={SECRET}&x=1",
        f"secret = b'{SECRET}'",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: {SECRET}",
        f"hmac: {SECRET}",
        f"eab_hmac={SECRET}",
        f"Cookie: {SECRET}",
        f"ValueError: {SECRET}{SECRET}",
        f"passphrase='{SECRET} with a space'",
    ],
)
def test_secrets_are_hidden(text):
    assert SECRET not in redact(text)
    assert SECRET.partition("T")[0] not in redact(text)


def test_keys_are_hidden_whole_or_cut_off():
    pem = pki.key_pem(pki.key("ec-p256"))
    line = pem.splitlines()[1]
    assert line not in redact(f"ValueError: {pem} is bad")
    assert line not in redact(pem[:150])
    assert line[:20] not in redact(f"bytes {line}")


@pytest.mark.parametrize("text", ["a" * 64, "0123456789ABCDEF" * 4])
def test_raw_keys_in_hexadecimal_are_hidden(text):
    assert text not in redact(f"key {text}")


@pytest.mark.parametrize(
    "text",
    [
        "cb9f4006457e53cba1bd99e150b9c651",  # the id of a row
        "sqlalchemy.exc.OperationalError: database is locked",
        "KeyError: 'renewal_steps_of_the_present_kind'",
        "shop.a-rather-long-domain-name.example.com",
        "AdapterError: ca_unavailable(status=503)",
    ],
)
def test_what_helps_stays(text):
    assert text in redact(text)


def test_places_on_the_machine_are_shortened():
    text = 'File "/srv/somewhere/app/portal/services/operations.py", line 3'
    assert redact(text) == 'File "portal/services/operations.py", line 3'


def test_only_the_end_of_a_long_traceback_is_kept():
    kept = redact("line\n" * 5000 + "the reason")
    assert kept.endswith("the reason")
    assert len(kept) <= MOST_CHARACTERS + 2


def test_the_last_line_says_what_went_wrong():
    assert last_line("Traceback:\n  File x\nKeyError: 'a'\n\n") == "KeyError: 'a'"
    assert last_line("") == ""
