"""The story through Chromium in both languages: from an empty installation to the renewed certificate being served.

Real worker and scheduler processes, the private CA, the sandbox's cloud with its TLS edge, its payment page, and SMTP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from portal.domain.certificate import sha256_of
from portal.models.account import Organisation
from portal.models.certificate import Certificate
from portal.sandbox.cloud import SandboxCloud
from portal.settings import Settings, from_env
from tests.browser import visitor
from tests.factories import Factory
from tests.gateway import SECRET, SandboxPayment
from tests.pki import make_certificate
from tests.stories.crew import Crew
from tests.stories.customer import Person
from tests.stories.invariants import served_sha256
from tests.stories.killed_run import QUICK
from tests.stories.outside import DOMAIN

pytestmark = pytest.mark.timeout(240)
CUSTOMER, OPERATOR = "alice@example.com", "olga@example.com"
PAGES = [
    ("/", "overview"),
    ("/certificates", "certificates"),
    ("/certificates?source=uploaded", "certificates-uploaded"),
    ("/certificates/upload", "upload"),
    ("/hosting", "hosting"),
    ("/hosting/add", "picker"),
    ("/domain-validation", "domain-validation"),
    ("/domain-validation/credentials", "dns-credentials"),
    ("/orders", "orders"),
    ("/account/team", "team"),
    ("/account/profile", "profile"),
    ("/account/security", "security"),
]


@dataclass(frozen=True)
class Sandbox:
    cloud: SandboxCloud
    gateway: SandboxPayment


@pytest.fixture
def sandbox(tmp_path):
    """Cloud and payment page, running."""
    cloud, gateway = SandboxCloud(tmp_path / "cloud", "token"), SandboxPayment(tmp_path / "gateway", SECRET)
    cloud.start()
    gateway.start("127.0.0.1", 0)
    yield Sandbox(cloud, gateway)
    gateway.stop()
    cloud.stop()


@pytest.fixture
def environment(tmp_path, database, redis_server, mail_server, listener, sandbox) -> dict[str, str]:
    host, port = listener.getsockname()
    return {
        **QUICK,
        "PORTAL_DATA_DIR": str(tmp_path),
        "PORTAL_DATABASE_URL": database.url,
        "PORTAL_REDIS_URL": redis_server.url,
        "PORTAL_MAIL_URL": mail_server.url,
        "PORTAL_BASE_URL": f"http://{host}:{port}",
        "PORTAL_PAYMENT_SANDBOX_URL": sandbox.gateway.url,
        "PORTAL_PAYMENT_SANDBOX_SECRET": SECRET,
        "PORTAL_ALLOWED_NETWORKS": "127.0.0.0/8",
    }


@pytest.fixture
def settings(environment) -> Settings:
    """The same for this process and for the workers."""
    return from_env(environment)


def prepare(factory: Factory, session, sandbox: Sandbox, old) -> None:
    """What the operator's command line and last year left: a catalogue, a cloud account, a certificate being served."""
    organisation = session.scalars(select(Organisation)).one()
    factory.price_book()
    factory.product(ca_account=factory.ca_account("private"))
    sandbox.cloud.add_domain(DOMAIN, old.fullchain_pem, old.key_pem)
    account = factory.cloud_account(
        organisation, "sandbox", {"url": sandbox.cloud.url}, {"token": "token"}, "Cloud"
    )
    factory.target(account, DOMAIN, live_address=sandbox.cloud.edge_address)


def check_mails(mail_server, language: str) -> None:
    """Confirmation, payment, hosting, renewal: once each, in the customer's language, in plain text and HTML."""
    mails = mail_server.to(CUSTOMER)
    assert len({mail["Message-ID"] for mail in mails}) == len(mails) == 4
    for mail in mails:
        assert bool(re.search(r"[\u4e00-\u9fff]", str(mail["Subject"]))) == language.startswith("zh")
        assert mail["Auto-Submitted"] == "auto-generated"
        assert mail.get_body(("plain",)) is not None
        assert mail.get_body(("html",)) is not None


@pytest.mark.parametrize(
    ("database", "language"), [("sqlite", "zh-CN"), ("postgresql", "en-US")], indirect=["database"]
)
def test_a_certificate_bought_elsewhere_is_hosted_renewed_and_seen_live(
    live_server, chromium, language, session, factory, sandbox, environment, mail_server, tmp_path
):
    old = make_certificate([DOMAIN])
    with Crew(environment, tmp_path, workers=1), visitor(chromium, language) as browser:
        person = Person(browser, live_server)
        person.page.goto(f"{live_server}/setup")
        person.set_up_operator((tmp_path / "setup.code").read_text().strip(), OPERATOR)
        person.sign_up("Acme", CUSTOMER, mail_server)
        prepare(factory, session, sandbox, old)
        assert served_sha256(sandbox.cloud.edge_address) == sha256_of(old.leaf)
        person.log_in(CUSTOMER)
        certificate_url = person.upload(old)
        person.turn_on_hosting()
        successor_url = person.watch_renewal(certificate_url)
        session.rollback()
        successor = session.scalars(select(Certificate).where(Certificate.predecessor_id.is_not(None))).one()
        assert successor_url.endswith(successor.id)
        assert served_sha256(sandbox.cloud.edge_address) == successor.sha256
        mail_server.wait_for(4)
        check_mails(mail_server, language)
        person.tour(PAGES)
        person.log_out()
        person.log_in(OPERATOR)
        person.tour([("/operator", "operator")])
