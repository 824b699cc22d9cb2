"""What a CA reads for http-01."""

from __future__ import annotations

from datetime import datetime

from flask.testing import FlaskClient

from portal.models.hosting import ChallengeResponse
from portal.services import http_probes
from tests.factories import Cast, Factory


def test_a_ca_reads_the_key_authorization_of_a_running_validation(
    client: FlaskClient, factory: Factory, cast: Cast, now: datetime
) -> None:
    renewal = factory.renewal(factory.hosting(factory.certificate(cast.organisation)))
    factory.add(
        ChallengeResponse(token="tok", renewal_id=renewal.id, key_authorization="tok.print", created_at=now)
    )
    answer = client.get("/.well-known/acme-challenge/tok")
    assert (answer.status_code, answer.get_data(as_text=True)) == (200, "tok.print")


def test_an_unknown_token_is_not_found(client: FlaskClient) -> None:
    assert client.get("/.well-known/acme-challenge/other").status_code == 404


def test_a_rehearsal_reads_its_answer(client: FlaskClient) -> None:
    token, expected = http_probes.make_probe()
    answer = client.get(f"/.well-known/acme-challenge/{token}")
    assert (answer.status_code, answer.get_data(as_text=True)) == (200, expected)


def test_a_rehearsal_that_somebody_made_up_is_not_found(client: FlaskClient) -> None:
    token, _expected = http_probes.make_probe()
    for made_up in (token[:-1] + "-", token.replace("rehearsal-", ""), "rehearsal-x", "rehearsal-"):
        assert client.get(f"/.well-known/acme-challenge/{made_up}").status_code == 404
