"""Every way in which an upload can be wrong: a clear sentence in both languages, nothing stored, no traceback."""

from __future__ import annotations

import html
import io
import re
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import requests
from flask_babel import force_locale, gettext
from sqlalchemy import func, select

from portal.models.certificate import Certificate
from portal.models.history import AuditEntry
from tests import pki
from tests.pki import make_certificate

pytestmark = pytest.mark.usefixtures("catalogue")

GOOD = make_certificate(["shop.example.com"])
EXPIRED = make_certificate(["shop.example.com"], expires_in=-timedelta(days=1))
OTHER_KEY = pki.key_pem(pki.key("ec-p256", 7))
SEALED_KEY = pki.key_pem(GOOD.key, "right")
STRANGER = pki.make_ca("Stranger", number=130)
TEN_MIB = 10 * 1024 * 1024


@dataclass(frozen=True)
class Bad:
    """A form that must be refused with `sentence` (an msgid; `%(…)s` stands for anything)."""

    sentence: str
    form: dict[str, str] = field(default_factory=dict)
    status: int = 422


BAD = {
    "expired": Bad(
        "This certificate expired on %(on)s.", {"certificate": EXPIRED.fullchain_pem, "key": EXPIRED.key_pem}
    ),
    "key_mismatch": Bad(
        "The private key does not belong to this certificate.",
        {"certificate": GOOD.fullchain_pem, "key": OTHER_KEY},
    ),
    "wrong_passphrase": Bad(
        "The passphrase does not open the private key.",
        {"certificate": GOOD.fullchain_pem, "key": SEALED_KEY, "passphrase": "wrong"},
    ),
    "missing_passphrase": Bad(
        "The private key is encrypted: its passphrase is needed.",
        {"certificate": GOOD.fullchain_pem, "key": SEALED_KEY},
    ),
    "broken_pem": Bad(
        "The certificate cannot be read: its PEM text is damaged.",
        {"certificate": GOOD.leaf_pem.replace("MII", "MIX", 1), "key": GOOD.key_pem},
    ),
    "cut_pem": Bad(
        "The certificate cannot be read: its PEM text is damaged.", {"certificate": GOOD.leaf_pem[:300]}
    ),
    "broken_key": Bad(
        "The private key cannot be read: its PEM text is damaged.",
        {"certificate": GOOD.fullchain_pem, "key": GOOD.key_pem.replace("MI", "XX", 1)},
    ),
    "not_a_certificate": Bad(
        "No certificate found. It begins with “-----BEGIN CERTIFICATE-----”.",
        {"certificate": "Dear Sir or Madam, <script>alert(1)</script>"},
    ),
    "key_instead": Bad(
        "This is a private key. The certificate belongs here; the key has a field of its own.",
        {"certificate": GOOD.key_pem},
    ),
    "foreign_chain": Bad(
        "The chain holds a certificate that does not belong to it.",
        {"certificate": GOOD.leaf_pem, "chain": pki.to_pem([STRANGER.certificate])},
    ),
    "two_leaves": Bad(
        "More than one website certificate was given.",
        {"certificate": GOOD.leaf_pem + make_certificate(["other.example.com"]).leaf_pem},
    ),
    "nothing": Bad("Paste a certificate, or choose its file.", {"certificate": "  "}),
}


@pytest.fixture
def catalogue(factory):
    factory.price_book()
    factory.product(ca_account=factory.ca_account(secrets={}))


@pytest.fixture(params=["zh_Hans", "en"])
def locale(request) -> str:
    return str(request.param)


@pytest.fixture
def alice(session, cast, client, locale):
    """Logged in, reading in that language."""
    cast.alice.locale = locale
    session.commit()
    assert client.log_in(cast.alice).status_code == 303
    return cast.alice


def pattern_of(sentence: str, locale: str) -> re.Pattern[str]:
    """The sentence as that language has it."""
    with force_locale(locale):
        said = gettext(sentence)
    assert bool(re.search(r"[\u4e00-\u9fff]", said)) == (locale == "zh_Hans"), said
    return re.compile(".+?".join(re.escape(part) for part in re.split(r"%\(\w+\)s", said)))


def check_refused(text: str, sentence: str, locale: str) -> None:
    shown = html.unescape(text)
    assert pattern_of(sentence, locale).search(shown)
    assert "Traceback" not in shown
    assert "PRIVATE KEY-----\n" not in shown
    assert "<script>alert(1)" not in text


def stored(session) -> int:
    session.rollback()
    uploads = session.scalar(
        select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "certificate.upload")
    )
    count = session.scalar(select(func.count()).select_from(Certificate))
    assert uploads == count
    return int(count)


@pytest.mark.parametrize("htmx", [False, True], ids=["page", "htmx"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_upload_is_refused_in_words(client, session, alice, locale, name, htmx):
    bad = BAD[name]
    answer = client.post("/certificates/upload", data=bad.form, htmx=htmx)
    assert answer.status_code == bad.status
    check_refused(answer.text, bad.sentence, locale)
    assert answer.text.lstrip().startswith("<!doctype html>") is not htmx
    assert stored(session) == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"\x89PNG\r\n\x1a\n\0\0",
            "This is not a text file. A PEM file begins with “-----BEGIN CERTIFICATE-----”.",
        ),
        (
            GOOD.leaf.public_bytes(pki.Encoding.DER),
            "This is a binary (DER) file. Convert it to PEM: openssl x509 -inform der -in FILE",
        ),
    ],
    ids=["picture", "der"],
)
def test_a_file_that_is_no_pem_is_named_for_what_it_is(client, session, alice, locale, content, sentence):
    form = {"certificate_file": (io.BytesIO(content), "file.bin")}
    answer = client.post("/certificates/upload", data=form, content_type="multipart/form-data")
    assert answer.status_code == 422
    check_refused(answer.text, sentence, locale)
    assert stored(session) == 0


def test_a_duplicate_leads_to_what_is_there(client, session, alice, locale):
    form = {"certificate": GOOD.fullchain_pem, "key": GOOD.key_pem}
    assert client.post("/certificates/upload", data=form).status_code == 303
    answer = client.post("/certificates/upload", data=form)
    assert answer.status_code == 409
    check_refused(answer.text, "This certificate is here already.", locale)
    assert stored(session) == 1
    row = session.scalars(select(Certificate)).one()
    assert f'href="/certificates/{row.id}"' in answer.text


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_a_chain_in_the_wrong_order_is_repaired(client, session, alice, order):
    parts = (*GOOD.chain, GOOD.root)
    text = pki.to_pem([parts[place] for place in order])
    assert (
        client.post("/certificates/upload", data={"certificate": text, "key": GOOD.key_pem}).status_code
        == 303
    )
    row = session.scalars(select(Certificate)).one()
    assert row.fullchain_pem == GOOD.fullchain_pem


def test_a_chain_and_key_in_one_text_are_told_apart(client, session, alice):
    text = GOOD.key_pem + GOOD.chain_pem + GOOD.leaf_pem
    assert client.post("/certificates/upload", data={"certificate": text}).status_code == 303
    row = session.scalars(select(Certificate)).one()
    assert row.fullchain_pem == GOOD.fullchain_pem
    assert row.private_key is not None


def browser_session(client, address: str) -> requests.Session:
    """The client's log-in, for requests over a real connection."""
    session = requests.Session()
    session.trust_env = False
    host = address.partition("://")[2].partition(":")[0]
    cookie = client.get_cookie("session")
    session.cookies.set("session", cookie.value, domain=host)
    session.headers["X-CSRFToken"] = client.csrf_token()
    cookie = client.get_cookie("session")
    session.cookies.set("session", cookie.value, domain=host)
    return session


@pytest.mark.parametrize("size", [257 * 1024 + 64 * 1024, TEN_MIB], ids=["over the limit", "10 MiB"])
def test_a_huge_file_is_refused_before_it_is_read(live_server, client, session, alice, locale, size):
    files = {"certificate_file": ("big.pem", GOOD.fullchain_pem.encode().ljust(size, b"\n"))}
    with browser_session(client, live_server) as browser:
        answer = browser.post(f"{live_server}/certificates/upload", files=files, timeout=20)
    assert answer.status_code == 413
    sentence = "Uploads are limited to %(kib)s KiB. A certificate with its chain and key is far smaller."
    check_refused(answer.text, sentence, locale)
    assert stored(session) == 0


def test_secrets_of_a_refused_upload_are_not_logged(client, session, alice, capfd, caplog):
    form = {"certificate": GOOD.fullchain_pem, "key": SEALED_KEY, "passphrase": "hunter2hunter2"}
    client.post("/certificates/upload", data=form)
    written = "".join(capfd.readouterr()) + caplog.text
    assert "hunter2hunter2" not in written
    assert SEALED_KEY.splitlines()[3] not in written
