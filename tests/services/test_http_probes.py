"""Tokens of rehearsals: answered by whoever made them, and by nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask

from portal.services import http_probes

pytestmark = pytest.mark.databases("sqlite")


def test_each_probe_has_a_token_and_an_answer_of_its_own(core_app: Flask) -> None:
    probes = {http_probes.make_probe() for _ in range(5)}
    assert len({token for token, _ in probes}) == len({answer for _, answer in probes}) == 5
    assert all(http_probes.find_answer(token) == answer for token, answer in probes)


def test_a_token_is_fit_for_a_url_and_for_acme(core_app: Flask) -> None:
    token, _answer = http_probes.make_probe()
    assert len(token) < 255
    assert all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in token)


@pytest.mark.parametrize(
    "token", ["", "x", "rehearsal-", "rehearsal-a-b", "rehearsal-é-é", "evaGxfADs6pSRb2LAv9IZ"]
)
def test_any_other_token_is_not_answered(core_app: Flask, token: str) -> None:
    assert http_probes.find_answer(token) is None


def test_another_installation_does_not_answer(core_app: Flask) -> None:
    token, _answer = http_probes.make_probe()
    core_app.extensions["settings"] = replace(core_app.extensions["settings"], secret_key="another")
    assert http_probes.find_answer(token) is None
