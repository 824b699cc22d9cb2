"""The story from upload to payment, told through the services; what follows is the workers' part.

upload → specification confirmed → order → paid at the gateway → (workers) fulfilled → renewed at the CA → deployed →
seen live → told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from portal.clock import utc_now
from portal.domain.renewal import RenewalState
from portal.domain.spec import DomainType, Grade, Spec, ValidationType
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.models.notice import Notice
from portal.models.order import Order
from portal.services import buying, ca_accounts, cloud_accounts, paying, targets, uploading
from portal.services.acting import Actor
from portal.services.targets import NewTarget
from tests.aliyun_server import ACCESS_KEY_ID, ACCESS_KEY_SECRET
from tests.factories import Cast, Factory
from tests.gateway import decide, visit
from tests.pebble import Pebble
from tests.stories.outside import DOMAIN, Outside

SPEC = Spec(DomainType.SINGLE, ValidationType.DV, "perennial", Grade.BASIC)


@dataclass(frozen=True)
class Begun:
    """What the customer has done."""

    certificate_id: str
    order_id: str


def add_ca(ca: Pebble, now: datetime, directory_url: str | None = None, name: str = "acme") -> CaAccount:
    """An account at the ACME CA, its names proved through DNS. `directory_url` may be that of a proxy before it."""
    config = {
        "directory_url": directory_url or ca.directory_url,
        "ca_bundle": ca.ca_bundle,
        "challenge": "dns-01",
        "resolver": ca.dns_address,
        "dns": {"kind": "sandbox", "config": ca.dns_options},
    }
    account = ca_accounts.add(name, "acme", config, {}, "test", now)
    ca_accounts.ensure_registered(account)
    return account


def begin(place: Outside, factory: Factory, cast: Cast) -> Begun:
    """Everything up to the payment."""
    now = utc_now()
    actor = Actor(cast.alice.id, cast.organisation.id)
    factory.price_book()
    factory.product(ca_account=add_ca(place.ca, now))
    given = {"access_key_id": ACCESS_KEY_ID, "access_key_secret": ACCESS_KEY_SECRET, "site": "cn-hangzhou"}
    account = cloud_accounts.add_account("alibaba", "aliyun", given, actor, now)
    targets.add_target(account, NewTarget("cdn", DOMAIN, place.cloud.edge_address), actor, now)
    upload = uploading.Upload(place.old.fullchain_pem, key=place.old.key_pem)
    certificate = uploading.store(upload, actor, now)
    uploading.confirm_spec(certificate, SPEC, actor, now)
    order = buying.place_order([certificate.id], 19_900 + 27_000, actor, now)
    addresses = paying.Addresses("http://127.0.0.1/return", "http://127.0.0.1:9/notify")
    pay_url = paying.start(order, addresses, "Hosting", "en", now)
    visit(pay_url)
    decide(pay_url)
    paying.ask_now(order, now)
    return Begun(certificate.id, order.id)


def is_over(begun: Begun) -> bool:
    """Whether the renewal is done and everybody has been told."""
    db.session.rollback()
    first = db.session.query(Renewal.state).filter(Renewal.sequence == 1).scalar()
    unsent = db.session.query(Notice.id).filter(Notice.next_attempt_at.is_not(None)).first()
    return first is RenewalState.DONE and unsent is None


def summary(begun: Begun) -> str:
    """Where everything stands, for the message of a failed wait."""
    rows = [*db.session.query(Order), *db.session.query(Renewal), *db.session.query(Notice)]
    return "\n".join(
        f"{row} {row.state} {row.error_code} {row.error_params} due {row.next_attempt_at}" for row in rows
    )
