"""A certificate that can be hosted."""

from __future__ import annotations

import pytest


@pytest.fixture
def certificate(factory, cast):
    factory.price_book()
    factory.product()
    return factory.certificate(cast.organisation)
