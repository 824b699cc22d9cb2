from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from portal.domain.notices import NoticeKind, NoticeState
from portal.models.notice import Notice
from portal.models.types import new_id


@pytest.fixture
def post(factory, cast, now):
    def post(**different) -> Notice:
        row = {
            "organisation_id": cast.organisation.id,
            "kind": NoticeKind.RENEWED,
            "subject_type": "certificates",
            "subject_id": "1",
            "recipient": "alice@example.com",
            "locale": "zh_Hans",
            "timezone": "Asia/Shanghai",
            "params": {"name": "例子.example.com"},
            "state": NoticeState.PENDING,
            "message_id": f"<{new_id()}@localhost>",
            "created_at": now,
        }
        return factory.add(Notice(**{**row, **different}))

    return post


def test_one_event_is_one_row_for_each_recipient(session, post):
    post()
    with pytest.raises(IntegrityError):
        post()
    session.rollback()


@pytest.mark.parametrize(
    "different",
    [
        {"subject_id": "2"},
        {"kind": NoticeKind.NOT_LIVE},
        {"threshold": 7},
        {"recipient": "bob@example.com"},
    ],
)
def test_another_subject_kind_threshold_or_recipient_is_another_row(post, different):
    assert post().id != post(**different).id


def test_params_keep_chinese(session, post):
    row = post()
    session.expire_all()
    assert row.params == {"name": "例子.example.com"}
