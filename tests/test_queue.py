from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.exceptions import DeserializationError
from rq.job import Job

from portal.app import create_core
from portal.doorbell import BATCH, AllowedJob, ForbiddenJobError, queue
from portal.models.account import Organisation
from portal.queue import QUEUE_OF, JobName, QueueName, enqueue_after_commit, ring

pytestmark = pytest.mark.databases("sqlite")
RENEWALS = JobName.ADVANCE_RENEWALS


def queued(name: QueueName = QueueName.RENEWAL) -> list[tuple]:
    return [job.args for job in queue(name).jobs]


def an_organisation(now) -> Organisation:
    return Organisation(name="Acme", created_at=now)


def test_a_ring_carries_ids_alone(core_app):
    assert ring(RENEWALS, ["a", "b"])
    (job,) = queue(QueueName.RENEWAL).jobs
    assert (job.func_name, list(job.args), job.kwargs) == ("jobs.renewal.advance", ["a", "b"], {})


def test_ids_travel_in_batches(core_app):
    ring(RENEWALS, [str(number) for number in range(BATCH * 2 + 1)])
    assert [len(arguments) for arguments in queued()] == [BATCH, BATCH, 1]


def test_no_ids_ring_for_nothing(core_app):
    assert ring(RENEWALS, [])
    assert queued() == []


def test_every_job_has_a_queue():
    assert set(QUEUE_OF) == set(JobName)


def test_a_ring_waits_for_the_commit(session, now):
    session.add(an_organisation(now))
    enqueue_after_commit(session(), RENEWALS, ["a"])
    session.flush()
    assert queued() == []
    session.commit()
    assert [list(arguments) for arguments in queued()] == [["a"]]


def test_a_rollback_forgets_the_ring(session, now):
    session.add(an_organisation(now))
    enqueue_after_commit(session(), RENEWALS, ["a"])
    session.rollback()
    session.add(an_organisation(now))
    session.commit()
    assert queued() == []


def test_one_id_rings_once_in_a_transaction(session, now):
    session.add(an_organisation(now))
    enqueue_after_commit(session(), RENEWALS, ["a", "a"])
    enqueue_after_commit(session(), RENEWALS, ["a", "b"])
    session.commit()
    assert [list(arguments) for arguments in queued()] == [["a", "b"]]


def test_a_silent_redis_is_no_error(settings):
    app = create_core(replace(settings, redis_url="unix:///nowhere/redis.sock"))
    with app.app_context():
        assert ring(RENEWALS, ["a"]) is False


@pytest.mark.parametrize("name", ["os.system", "jobs.renewal", "jobs.renewal.__init__", "builtins.eval", ""])
def test_a_function_that_is_no_job_of_ours_is_not_even_imported(core_app, redis_server, name):
    with Redis.from_url(redis_server.url) as connection:
        job = AllowedJob(connection=connection)
        job.func_name = name
        with pytest.raises(ForbiddenJobError):
            _ = job.func


def test_a_method_of_an_object_is_no_job(core_app, redis_server):
    with Redis.from_url(redis_server.url) as connection:
        job = AllowedJob.create("jobs.renewal.advance", connection=connection)
        job._instance = "anything"
        with pytest.raises(ForbiddenJobError):
            _ = job.func


@pytest.mark.parametrize("callback", ["success_callback", "failure_callback", "stopped_callback"])
def test_callbacks_are_refused(core_app, redis_server, callback):
    with Redis.from_url(redis_server.url) as connection:
        job = AllowedJob.create("jobs.renewal.advance", connection=connection)
        assert getattr(job, callback) is None
        setattr(job, f"_{callback}_name", "os.system")
        with pytest.raises(ForbiddenJobError):
            getattr(job, callback)


class Bomb:
    """Makes the file at `path` when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mknod, (str(self.path),)


def test_a_pickled_job_is_never_unpickled(core_app, redis_server, tmp_path):
    mark = tmp_path / "exploded"
    with Redis.from_url(redis_server.url) as connection:
        foreign = Queue("renewal", connection=connection).enqueue("jobs.renewal.advance", Bomb(mark))
        read = AllowedJob.fetch(foreign.id, connection=connection)
        with pytest.raises(DeserializationError):
            _ = read.args
        assert not mark.exists()
        _ = Job.fetch(foreign.id, connection=connection).args
        assert mark.exists()
