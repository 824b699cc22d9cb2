"""What the tests of the account area share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from portal.domain.notices import NoticeKind
from portal.models.notice import Notice


@pytest.fixture
def posted(session) -> Callable[[NoticeKind], list[Notice]]:
    """The notices of a kind that are in the outbox."""
    return lambda kind: list(session.scalars(select(Notice).where(Notice.kind == kind)))
