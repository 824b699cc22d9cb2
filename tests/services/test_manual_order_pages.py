"""What operators read of manual orders."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from portal.domain.errors import DomainError
from portal.domain.manual_order import CHECKLISTS, ManualOrderState
from portal.domain.spec import ValidationType
from portal.services import manual_order_pages, manual_orders
from portal.services.acting import Actor
from tests.factories import Cast, Factory
from tests.services.manual import carried

APPLICANT = {"organisation": "Acme (Shanghai) Co., Ltd.", "phone": "+86 21 5555 0100"}


def test_the_nearest_deadline_comes_first(factory: Factory, cast: Cast, now: datetime) -> None:
    cases = [carried(factory, cast, now, names=(f"{name}.example.com",)) for name in ("late", "soon")]
    cases[0].renewal.predecessor.not_after = now + timedelta(days=40)
    factory.session.commit()
    lines = manual_order_pages.list_open()
    assert [line.names for line in lines] == [["soon.example.com"], ["late.example.com"]]
    assert lines[0].organisation == "Acme"
    assert lines[0].deadline == cases[1].renewal.predecessor.not_after
    assert manual_order_pages.count_open() == 2


def test_finished_orders_are_listed_apart_the_latest_first(
    factory: Factory, cast: Cast, now: datetime
) -> None:
    olga = Actor(cast.olga.id, "")
    first, second = (carried(factory, cast, now, names=(f"{name}.example.com",)) for name in "ab")
    manual_orders.refuse(first.order_id, "no", olga, now)
    manual_orders.paste(second.order_id, second.answer().fullchain_pem, "", olga, now + timedelta(hours=1))
    assert manual_order_pages.list_open() == []
    assert [(one.id, one.state) for one in manual_order_pages.list_finished()] == [
        (second.order_id, ManualOrderState.ISSUED),
        (first.order_id, ManualOrderState.REFUSED),
    ]


def test_a_case_tells_who_must_do_what_by_when(factory: Factory, cast: Cast, now: datetime) -> None:
    factory.contact(cast.organisation)
    case = carried(factory, cast, now, applicant=APPLICANT)
    page = manual_order_pages.read(case.order_id)
    assert page.is_open
    assert page.deadline == case.renewal.predecessor.not_after
    assert page.checklist == CHECKLISTS[ValidationType.OV]
    assert (page.organisation, dict(page.applicant)) == ("Acme", APPLICANT)
    assert [one.email for one in page.contacts] == ["ops@example.com"]


def test_a_finished_case_still_knows_its_renewal(factory: Factory, cast: Cast, now: datetime) -> None:
    case = carried(factory, cast, now)
    manual_orders.refuse(case.order_id, "no", Actor(cast.olga.id, ""), now)
    renewal = case.fresh()
    renewal.order_url = None  # as a renewal that orders anew
    case.session.commit()
    page = manual_order_pages.read(case.order_id)
    assert not page.is_open
    assert page.renewal is not None
    assert (page.renewal.id, page.handler) == (renewal.id, "olga@example.com")


def test_an_order_of_nobody_is_not_found(factory: Factory) -> None:
    with pytest.raises(DomainError, match="not_found"):
        manual_order_pages.read("0" * 32)


def test_what_was_copied_along_counts_before_what_the_certificate_says(
    factory: Factory, cast: Cast, now: datetime
) -> None:
    case = carried(factory, cast, now)
    assert manual_order_pages.applicant_of(case.renewal) == {}
    case.renewal.predecessor.applicant = {"organisation": "Older", "phone": ""}
    assert manual_order_pages.applicant_of(case.renewal) == {"organisation": "Older"}
    case.renewal.applicant = APPLICANT
    assert manual_order_pages.applicant_of(case.renewal) == APPLICANT
