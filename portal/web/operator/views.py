"""The operator's pages: one dashboard that renews itself, a page for a failed job, and a button for each act."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Response, flash, url_for
from flask_babel import gettext as _

from portal.services import (
    alarm_board,
    failed_jobs,
    job_board,
    manual_order_pages,
    operating,
    operator_acts,
    watching,
)
from portal.services.operations import settings
from portal.web.clock import now
from portal.web.htmx import go_to, render
from portal.web.messages import message_for
from portal.web.operator import alarm_words, authorities, delegation, manual_orders, replacements, words
from portal.web.operator.blueprint import blueprint
from portal.web.operator.blueprint import operator as _actor
from portal.web.security import operator_required

__all__ = ["authorities", "blueprint", "delegation", "manual_orders", "replacements"]


def _back(message: str) -> Response:
    flash(message, "ok")
    return go_to(url_for("operator.dashboard"))


def _signs_of_life(heartbeats: Mapping[str, datetime], moment: datetime) -> list[dict[str, Any]]:
    """The heartbeats that there should be, and whether they are too old."""
    limits = watching.silence_limits(settings())
    return [
        {
            "label": label,
            "alarm": f"{name}_silent",
            "at": (at := heartbeats.get(name)),
            "is_silent": at is None or moment - at > limits[name],
        }
        for name, label in words.HEARTBEATS.items()
    ]


def _dashboard_context() -> dict[str, Any]:
    moment = now()
    situation, board = operating.read(moment), job_board.read(moment)
    jobs = [*board.failed, *(one.job for one in board.workers if one.job)] if board else []
    return {
        "moment": moment,
        "situation": situation,
        "board": board,
        "manual_orders": manual_order_pages.list_open(),
        "signs": _signs_of_life(situation.heartbeats, moment),
        "alarms": alarm_board.read(),
        "alarm_words": alarm_words,
        "stands_for": operating.stand_for(jobs),
        "words": words,
        "message_for": message_for,
    }


@blueprint.get("")
@operator_required
def dashboard() -> Response:
    """Everything at a glance; htmx asks again every five seconds."""
    return render("operator/dashboard.html", "operator/_dashboard.html", **_dashboard_context())


@blueprint.get("/jobs/<job_id>")
@operator_required
def job(job_id: str) -> Response:
    """One failed job: what it is for, and its redacted traceback."""
    view = failed_jobs.get_failed(job_id)
    rows = operating.stand_for([view]).get(view.id, [])
    return render("operator/job.html", job=view, rows=rows, words=words, message_for=message_for)


@blueprint.post("/jobs/retry")
@operator_required
def retry_all_jobs() -> Response:
    """Put every failed job back."""
    count = failed_jobs.retry_all(_actor(), now())
    return _back(_("%(count)s failed jobs are back in their queues.", count=count))


@blueprint.post("/jobs/<job_id>/retry")
@operator_required
def retry_job(job_id: str) -> Response:
    """Put one failed job back."""
    failed_jobs.retry(job_id, _actor(), now())
    return _back(_("The job is back in its queue."))


@blueprint.post("/jobs/<job_id>/remove")
@operator_required
def remove_job(job_id: str) -> Response:
    """Forget one failed job."""
    failed_jobs.remove(job_id, _actor(), now())
    return _back(_("The failed job is forgotten. What it was for stays due."))


@blueprint.post("/work/<kind>/<row_id>/retry")
@operator_required
def try_now(kind: str, row_id: str) -> Response:
    """Have one piece of work tried at once."""
    subject = operator_acts.try_now(kind, row_id, _actor(), now())
    return _back(_("%(title)s is being tried now.", title=subject.title))


@blueprint.post("/authorities/<account_id>/pause")
@operator_required
def pause_authority(account_id: str) -> Response:
    """Give this CA no more work."""
    account = operator_acts.pause_authority(account_id, True, _actor(), now())
    return _back(_("%(name)s is paused. Renewals wait.", name=account.name))


@blueprint.post("/authorities/<account_id>/resume")
@operator_required
def resume_authority(account_id: str) -> Response:
    """Give this CA work again."""
    account = operator_acts.pause_authority(account_id, False, _actor(), now())
    return _back(_("%(name)s gets work again.", name=account.name))
