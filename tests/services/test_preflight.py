"""Rehearsals: which are made, how each way of proving fares, what is kept, and what stops a renewal."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.domain.validation import Finding, NameReport, Severity, ValidationMethod
from portal.extensions import db
from portal.models.validation import DomainValidation
from portal.services import preflight
from tests.dns_server import dns_server
from tests.services.rehearsal import SHOP, ZONE, Rehearsal, codes, reason, stored

both_databases = pytest.mark.databases("sqlite", "postgresql")
pytestmark = pytest.mark.databases("sqlite")


@both_databases
def test_a_name_that_is_delegated_rightly_is_fine(rehearsal: Rehearsal, now: datetime) -> None:
    rehearsal.delegate_shop()
    (report,) = rehearsal.run(SHOP)
    assert codes(report) == ["dnssec_secure", "delegation_right", "caa_unrestricted", "dnssec_insecure"]
    assert (report.worst, report.method) == (None, ValidationMethod.DELEGATION)
    assert preflight.stop_reason([report]) is None
    assert stored(SHOP) == (None, None, now)


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("away", "delegation_elsewhere"),
        ("none", "delegation_missing"),
        ("records", "delegation_missing"),
        ("circle", "delegation_loops"),
    ],
)
def test_a_wrong_delegation_blocks_and_names_the_record_to_set(
    rehearsal: Rehearsal, now: datetime, label: str, code: str
) -> None:
    name = f"{label}.customer.test"
    rehearsal.add_zone()
    rehearsal.prove(name, ValidationMethod.DELEGATION, "mine")
    reports = rehearsal.run(name)
    assert reports[0].worst is not None
    assert (reports[0].worst.code, reports[0].is_blocked) == (code, True)
    assert reports[0].worst.params["record"] == f"_acme-challenge.{name} CNAME mine.{ZONE}"
    assert reason(reports) == (code, True, name)
    assert stored(name) == (code, "blocking", now)


def test_a_zone_of_ours_that_is_not_tried_out_is_not_the_customers_fault(rehearsal: Rehearsal) -> None:
    rehearsal.add_zone(is_verified=False)
    rehearsal.prove(SHOP, ValidationMethod.DELEGATION, "right")
    reports = rehearsal.run(SHOP)
    assert "delegation_zone_unready" in codes(reports[0])
    assert reason(reports) == ("delegation_zone_unready", False, SHOP)


@both_databases
def test_a_wildcard_and_its_domain_share_one_row_and_have_a_report_each(
    rehearsal: Rehearsal, now: datetime
) -> None:
    rehearsal.delegate_shop()
    reports = rehearsal.run(f"*.{SHOP}", SHOP, SHOP)
    assert [report.name for report in reports] == [f"*.{SHOP}", SHOP]
    assert stored(SHOP) == (None, None, now)


@both_databases
def test_names_that_nobody_chose_a_way_for_get_one(rehearsal: Rehearsal) -> None:
    rehearsal.add_zone()
    assert rehearsal.run("none.customer.test")[0].method is ValidationMethod.DELEGATION
    assert stored("none.customer.test")[0] == "delegation_missing"


def test_names_are_looked_at_whatever_their_case(rehearsal: Rehearsal) -> None:
    rehearsal.delegate_shop()
    assert rehearsal.run(SHOP.upper())[0].worst is None


def test_a_resolver_that_does_not_answer_is_tried_again_and_nobody_is_blamed(
    rehearsal: Rehearsal, core_app: Flask, now: datetime
) -> None:
    rehearsal.delegate_shop()
    core_app.extensions["settings"] = replace(core_app.extensions["settings"], lease_seconds=1.0)
    with dns_server("customer.test") as silent:
        silent.is_silent = True
        rehearsal.set_account(resolver=silent.address)
        reports = rehearsal.run(SHOP, "away.customer.test", "none.customer.test")
    assert reason(reports) == ("dns_unavailable", False, SHOP)
    assert not any(report.is_blocked for report in reports)
    assert stored(SHOP) == ("dns_unavailable", "warning", now)


@pytest.mark.parametrize("kind", ["private", "manual"])
def test_a_ca_that_validates_nothing_is_not_rehearsed(rehearsal: Rehearsal, kind: str) -> None:
    rehearsal.account = rehearsal.factory.ca_account(kind=kind)
    assert rehearsal.run(SHOP) == ()
    assert preflight.stop_reason(()) is None
    assert db.session.scalar(select(func.count()).select_from(DomainValidation)) == 0


def test_a_rehearsal_may_be_turned_off_for_an_account(rehearsal: Rehearsal) -> None:
    rehearsal.set_account(rehearsal="no")
    assert rehearsal.run(SHOP) == ()


@both_databases
def test_a_method_that_was_changed_meanwhile_keeps_no_result_of_the_old_one(
    rehearsal: Rehearsal, core_app: Flask
) -> None:
    def change() -> None:
        with core_app.app_context():
            db.session.execute(update(DomainValidation).values(method=ValidationMethod.HTTP))
            db.session.commit()
            db.session.remove()

    rehearsal.delegate_shop()
    with dns_server("customer.test") as server:
        server.meanwhile = change
        rehearsal.set_account(resolver=server.address)
        assert "delegation_missing" in codes(rehearsal.run(SHOP)[0])
    assert stored(SHOP) == (None, None, None)


def report(name: str, *findings: tuple[str, Severity]) -> NameReport:
    made = tuple(Finding(code, severity, {"name": name}) for code, severity in findings)
    return NameReport(name, ValidationMethod.DELEGATION, made)


SILENT = report("a.test", ("dns_unavailable", Severity.WARNING))
OURS = report("b.test", ("delegation_zone_unready", Severity.BLOCKING))
THEIRS = report("c.test", ("caa_account_unknown", Severity.WARNING), ("caa_forbids", Severity.BLOCKING))
FINE = report("d.test", ("delegation_right", Severity.OK), ("caa_account_unknown", Severity.WARNING))


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ((FINE, SILENT), ("dns_unavailable", False, "a.test")),
        ((SILENT, OURS), ("delegation_zone_unready", False, "b.test")),
        ((SILENT, OURS, THEIRS), ("caa_forbids", True, "c.test")),
    ],
)
def test_what_the_customer_must_mend_stops_before_all_else(
    reports: tuple[NameReport, ...], expected: tuple[str, bool, str]
) -> None:
    assert reason(reports) == expected


def test_warnings_stop_nothing() -> None:
    assert preflight.stop_reason((FINE,)) is None
