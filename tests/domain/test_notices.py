from __future__ import annotations

from datetime import timedelta

import pytest

from portal.domain.notices import THRESHOLDS, NoticeKind, nearest_threshold


@pytest.mark.parametrize(
    ("kind",                        "days_left", "threshold"),
    [
        (NoticeKind.ACTION_REQUIRED, 30,          0),
        (NoticeKind.ACTION_REQUIRED, 15.1,        0),
        (NoticeKind.ACTION_REQUIRED, 15,          15),
        (NoticeKind.ACTION_REQUIRED, 7.5,         15),
        (NoticeKind.ACTION_REQUIRED, 7,           7),
        (NoticeKind.ACTION_REQUIRED, 2,           3),
        (NoticeKind.ACTION_REQUIRED, 1,           1),
        (NoticeKind.ACTION_REQUIRED, -5,          1),
        (NoticeKind.NOT_LIVE,        15,          0),
        (NoticeKind.NOT_LIVE,        6,           7),
        (NoticeKind.HOSTING_FAILED,  14,          15),
        (NoticeKind.RENEWED,         1,           0),
    ],
)  # fmt: skip
def test_catching_up_tells_the_nearest_threshold_alone(kind, days_left, threshold):
    assert nearest_threshold(kind, timedelta(days=days_left)) == threshold


@pytest.mark.parametrize("kind", THRESHOLDS)
def test_thresholds_count_down(kind):
    assert list(THRESHOLDS[kind]) == sorted(THRESHOLDS[kind], reverse=True)
