"""The fixtures themselves: what other tests lean on."""

from __future__ import annotations

import smtplib
import socket

import pytest
from redis import Redis
from sqlalchemy import func, select

from portal.models.account import User
from tests.factories import Factory


@pytest.mark.parametrize("round_", [1, 2])
def test_every_test_starts_with_an_empty_database(session, cast, round_):
    assert session.scalar(select(func.count()).select_from(User)) == 4


def test_every_test_has_its_own_empty_redis(redis_server):
    with Redis.from_url(redis_server.url) as connection:
        assert connection.dbsize() == 0
        connection.set("left", "over")


def test_mail_that_is_sent_is_kept(mail_server, settings):
    assert settings.mail_url == mail_server.url
    with smtplib.SMTP("127.0.0.1", mail_server.port) as smtp:
        smtp.sendmail("a@example.com", ["b@example.com"], "Subject: hello\r\n\r\nworld\r\n")
    assert [message["Subject"] for message in mail_server.to("b@example.com")] == ["hello"]


def test_nothing_reaches_beyond_loopback():
    with pytest.raises(OSError, match="tests do not connect"):
        socket.create_connection(("192.0.2.1", 80), 1)
    with pytest.raises(socket.gaierror, match="tests do not resolve"):
        socket.create_connection(("example.com", 80), 1)


def test_the_factory_makes_a_hosted_certificate(factory: Factory, cast):
    certificate = factory.certificate(cast.organisation)
    renewal = factory.renewal(factory.hosting(certificate, factory.product(ca_account=None)))
    assert renewal.predecessor.sha256 == certificate.sha256
