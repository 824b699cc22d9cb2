"""Orders that operators carry."""

from __future__ import annotations

import pytest

from portal.domain.manual_order import CHECKLISTS, CheckItem
from portal.domain.spec import ValidationType


@pytest.mark.parametrize("kind", list(ValidationType))
def test_every_checklist_begins_with_handing_in_and_ends_with_bringing_back(kind: ValidationType) -> None:
    items = CHECKLISTS[kind]
    assert (items[0], items[-1]) == (CheckItem.HAND_IN, CheckItem.BRING_BACK)
    assert len(set(items)) == len(items)


def test_only_ov_and_ev_ask_for_papers() -> None:
    papers = {CheckItem.ORGANISATION, CheckItem.LEGAL_EXISTENCE, CheckItem.CALL}
    asked = {kind: bool(papers & set(items)) for kind, items in CHECKLISTS.items()}
    assert asked == {ValidationType.DV: False, ValidationType.OV: True, ValidationType.EV: True}
