"""What private CAs publish."""

from __future__ import annotations

from datetime import datetime

import pytest
from cryptography import x509
from flask import Flask

from portal.domain.certificate import split_pem, to_pem
from portal.domain.errors import DomainError
from portal.domain.keys import make_csr
from portal.services import ca_accounts, publishing
from tests import pki
from tests.factories import Factory


def test_our_own_list_is_known_by_its_address_whatever_the_host(
    core_app: Flask, factory: Factory, now: datetime
) -> None:
    account = factory.ca_account()
    own = publishing.crl(account.id, now)
    for host in ("https://portal.test", "http://pki.example.internal/below"):
        assert publishing.find_crl(f"{host}/ca/{account.id}/crl", now) == own


def test_no_other_address_is_taken_for_ours(core_app: Flask, factory: Factory, now: datetime) -> None:
    manual, private = factory.ca_account(kind="manual"), factory.ca_account()
    for path in (f"ca/{manual.id}/crl", f"ca/{'0' * 32}/crl", f"ca/{private.id}/crl?x", "list.crl"):
        assert publishing.find_crl(f"http://crl.test/{path}", now) is None


def test_a_revocation_is_on_the_next_list_of_this_process(
    core_app: Flask, factory: Factory, now: datetime
) -> None:
    account = factory.ca_account()
    ca = ca_accounts.connect(account)
    before = publishing.crl(account.id, now)
    assert publishing.crl(account.id, now) is before
    url, csr = ca.new_order(("a.example.com",)).url, make_csr(("a.example.com",), pki.key())
    ca.revoke(to_pem(split_pem(ca.download(url, csr))[:1]))
    assert len(list(x509.load_der_x509_crl(publishing.crl(account.id, now)))) == 1


def test_its_certificates_are_those_that_it_issues_under(
    core_app: Flask, factory: Factory, now: datetime
) -> None:
    account = factory.ca_account()
    issuer = x509.load_der_x509_certificate(publishing.issuer_certificate(account.id))
    root = x509.load_der_x509_certificate(publishing.root_certificate(account.id))
    issuer.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)


def test_what_is_no_private_ca_publishes_nothing(core_app: Flask, factory: Factory, now: datetime) -> None:
    with pytest.raises(DomainError, match="not_found"):
        publishing.crl(factory.ca_account(kind="manual").id, now)
