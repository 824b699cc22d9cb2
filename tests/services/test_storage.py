"""Nothing is ordered that could not be stored: on a real file system that is really full."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from portal.adapters.errors import AdapterError
from portal.app import create_core
from portal.domain.alarms import AlarmKind
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.services import storage
from portal.settings import Settings
from tests.databases import bare_settings, open_app

FULL = 24 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={FULL}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def app_on_it(small_disk: Path, sqlite_template: Path) -> Iterator[Flask]:
    path = small_disk / "portal.db"
    shutil.copyfile(sqlite_template, path)
    with open_app(create_core(bare_settings(small_disk, f"sqlite:///{path}"))) as app:
        yield app


def fill(folder: Path, leave: int) -> Path:
    """Take all room in `folder` but `leave` bytes."""
    path = folder / "ballast"
    free = shutil.disk_usage(folder).free - leave
    path.write_bytes(bytes(max(free, 0)))
    return path


def open_alarms() -> list[Alarm]:
    db.session.expire_all()
    return list(db.session.scalars(select(Alarm).where(Alarm.cleared_at.is_(None))))


def refuses(now: datetime) -> bool:
    try:
        storage.check_room(now)
    except AdapterError as error:
        assert (error.code, error.permanent) == ("storage_full", False)
        return True
    return False


if os.geteuid() == 0:  # Mounting a small file system takes root; what anybody can try is tried below.

    class TestOnASmallDisk:
        def test_nothing_is_ordered_while_it_is_nearly_full(
            self, app_on_it: Flask, small_disk: Path, now: datetime
        ) -> None:
            assert not refuses(now)
            ballast = fill(small_disk, storage.ROOM // 2)
            assert refuses(now)
            assert [one.kind for one in open_alarms()] == [AlarmKind.STORAGE_FULL]
            ballast.unlink()
            assert not refuses(now)
            assert open_alarms() == []

        def test_it_says_so_even_where_the_alarm_cannot_be_stored(
            self, app_on_it: Flask, small_disk: Path, now: datetime
        ) -> None:
            ballast = fill(small_disk, 0)
            assert refuses(now)
            ballast.unlink()
            assert open_alarms() == []


@pytest.mark.databases("sqlite")
def test_a_limit_that_no_count_of_free_bytes_shows_is_found_by_trying(core_app: Flask, now: datetime) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (storage.PROBE // 2, before[1]))
    try:
        assert not storage.has_room(core_app.extensions["settings"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not refuses(now)


@pytest.mark.databases("sqlite")
def test_there_is_room_on_a_usual_disk(core_app: Flask, now: datetime) -> None:
    assert not refuses(now)


def test_a_folder_that_is_gone_has_no_room(tmp_path: Path) -> None:
    settings = bare_settings(tmp_path, f"sqlite:///{tmp_path / 'gone' / 'portal.db'}")
    assert not storage.has_room(settings)


def test_a_database_elsewhere_looks_after_its_own_room(settings: Settings, tmp_path: Path) -> None:
    elsewhere = replace(settings, database_url="postgresql://nobody@nowhere/x")
    assert storage.has_room(elsewhere)
