"""The panel that tells how names stand: on their own pages, before paying, and on the page of a certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from flask import request, url_for

from portal.domain.validation import Finding, NameReport, Severity, base_name
from portal.models.catalogue import CaAccount
from portal.services.validation_pages import Setup
from portal.services.validation_standings import CertificateView, NameView, Standing
from portal.web.clock import now

#: A look this old is made again before somebody pays.
FRESH = timedelta(hours=1)

#: Names that a panel beside other things shows; its own page shows all.
FEW = 6

#: Tone and icon of a finding.
FINDING_FACES: Mapping[Severity, tuple[str, str]] = {
    Severity.OK: ("ok", "circle-check"),
    Severity.WARNING: ("warn", "alert-triangle"),
    Severity.BLOCKING: ("bad", "alert-circle"),
}


@dataclass(frozen=True)
class Panel:
    """`rows` are the names, the pressing ones first; `findings` by name, where it was looked at just now."""

    id: str
    rows: Sequence[NameView]
    account: CaAccount | None
    check_url: str
    page_url: str
    poll_url: str | None = None
    view: CertificateView | None = None
    findings: Mapping[str, Sequence[Finding]] = field(default_factory=dict)
    is_small: bool = False

    @property
    def shown(self) -> Sequence[NameView]:
        return self.rows[:FEW] if self.is_small else self.rows

    @property
    def is_one_name(self) -> bool:
        return self.poll_url is None

    def told(self, name: str) -> Sequence[Finding]:
        """What was found of a name just now: everything on its own page, else what is not in order."""
        found = self.findings.get(name, ())
        return found if self.is_one_name else [one for one in found if one.severity is not Severity.OK]

    @property
    def is_looking(self) -> bool:
        return self.poll_url is not None and self.view is not None and self.view.is_looking

    @property
    def needs_proof(self) -> bool:
        return any(one.needs_proof for one in self.rows)

    @property
    def is_hosted(self) -> bool:
        return self.view is not None and self.view.hosting is not None

    @property
    def is_broken(self) -> bool:
        return any(one.standing in (Standing.BLOCKED, Standing.WARNING) for one in self.rows)

    @property
    def checked_at(self) -> datetime | None:
        return max((one.checked_at for one in self.rows if one.checked_at is not None), default=None)

    @property
    def looks_by_itself(self) -> bool:
        """Whether the page that shows it asks for a look at once: before paying, where none is fresh."""
        if not self.is_small or self.is_hosted or self.account is None or request.method != "GET":
            return False
        looks = [one.checked_at for one in self.rows]
        return any(at is None or at < now() - FRESH for at in looks)


def panel_of(view: CertificateView, is_small: bool = True) -> Panel:
    """For the names of a certificate; a small one stands beside other things, and shows a few of them."""
    certificate_id, few = view.certificate.id, "1" if is_small else None
    return Panel(
        id=certificate_id,
        rows=view.pressing,
        account=view.account if view.can_look else None,
        check_url=url_for("validation.check_certificate", certificate_id=certificate_id, few=few),
        poll_url=url_for("validation.certificate", certificate_id=certificate_id, few=few),
        page_url=url_for("validation.certificate", certificate_id=certificate_id),
        view=view,
        is_small=is_small,
    )


def panel_for(setup: Setup, reports: Sequence[NameReport] = ()) -> Panel:
    """For the names of a scope, with what was just found."""
    findings: dict[str, list[Finding]] = {}
    for report in reports:
        known = findings.setdefault(base_name(report.name), [])
        known.extend(one for one in report.findings if _adds(one, known))
    scope = setup.scope
    if scope.certificate_id:
        return replace(panel_of(setup.certificates[0], "few" in request.args), findings=findings)
    name = setup.names[0].name
    return Panel(
        id="name",
        rows=setup.names,
        account=setup.account,
        check_url=url_for("validation.check_name", name=name),
        page_url=url_for("validation.name", name=name),
        view=next((one for one in setup.certificates if one.hosting is not None), None),
        findings=findings,
    )


def _adds(finding: Finding, known: Sequence[Finding]) -> bool:
    """Whether a finding says something new: of several on one subject that are fine, the first is enough."""
    if finding.severity is not Severity.OK:
        return finding not in known
    return not any(one.code.partition("_")[0] == finding.code.partition("_")[0] for one in known)


def finding_faces(finding: Finding) -> tuple[str, str]:
    """Tone and icon of a finding."""
    return FINDING_FACES[finding.severity]
