"""Every sentence is there in Chinese, the catalogues say what the sources say, and what is compiled is theirs."""

from __future__ import annotations

import pytest

from tests.house import catalogues


@pytest.fixture(scope="module")
def source():
    return catalogues.extracted()


@pytest.mark.parametrize("locale", catalogues.LOCALES)
def test_a_catalogue_is_complete_and_current(locale, source):
    assert list(catalogues.problems(locale, source)) == []


def test_labels_of_adapters_are_translated_too(source):
    assert source.get("Directory URL")
    assert source.get("Private CA")
    assert source.get("Alibaba Cloud")
