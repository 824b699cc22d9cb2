"""What every cloud product promises, and what becomes of every fault, tried on each against its real server."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator

import pytest

from portal.adapters.cloud import errors
from portal.adapters.cloud.base import CloudProductAdapter
from portal.adapters.errors import AdapterError
from portal.adapters.live_check import see_served
from tests import pki
from tests.adapters.cloud.stands import LOOPBACK, Stand, material_of, open_stand
from tests.cloud_faults import Fault

DOMAIN = "shop.example.com"


@pytest.fixture(params=["sandbox", "aliyun"])
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    with open_stand(request.param) as opened:
        yield opened


@pytest.fixture
def old() -> pki.Made:
    return pki.make_certificate((DOMAIN,))


@pytest.fixture
def new() -> pki.Made:
    return pki.make_certificate((DOMAIN,), key_type="rsa-2048")


def test_a_certificate_is_stored_bound_read_back_and_served(
    stand: Stand, old: pki.Made, new: pki.Made
) -> None:
    stand.add_domain(DOMAIN, old)
    adapter, material = stand.adapter(), material_of(new)
    assert served(stand) == material_of(old).sha256 == adapter.bound_sha256(DOMAIN)
    adapter.bind(DOMAIN, adapter.upload(material))
    assert adapter.bound_sha256(DOMAIN) == material.sha256 == served(stand)


@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-3072"])
def test_every_key_type_is_taken_and_served(stand: Stand, key_type: str) -> None:
    stand.add_domain(DOMAIN)
    adapter, material = stand.adapter(), material_of(pki.make_certificate((DOMAIN,), key_type=key_type))
    adapter.bind(DOMAIN, adapter.upload(material))
    assert served(stand) == material.sha256


def test_an_upload_can_be_repeated(stand: Stand, new: pki.Made) -> None:
    adapter, material = stand.adapter(), material_of(new)
    first = adapter.upload(material)
    assert [adapter.upload(material), stand.adapter().upload(material)] == [first, first]
    assert stand.stored() == [material.sha256]


def test_a_binding_can_be_repeated(stand: Stand, new: pki.Made) -> None:
    stand.add_domain(DOMAIN)
    adapter, material = stand.adapter(), material_of(new)
    remote_id = adapter.upload(material)
    adapter.bind(DOMAIN, remote_id)
    adapter.bind(DOMAIN, remote_id)
    assert adapter.bound_sha256(DOMAIN) == material.sha256


def test_a_name_that_another_certificate_has_is_varied(stand: Stand, old: pki.Made, new: pki.Made) -> None:
    stand.add_domain(DOMAIN)
    adapter = stand.adapter()
    name = "same-name-0123456789ab"
    theirs = adapter.upload(material_of(old, name))
    ours = adapter.upload(material_of(new, name))
    assert ours != theirs
    assert adapter.upload(material_of(new, name)) == ours
    adapter.bind(DOMAIN, ours)
    assert adapter.bound_sha256(DOMAIN) == material_of(new).sha256


def test_wildcards_are_bound_and_served(stand: Stand) -> None:
    stand.add_domain("*.example.com")
    adapter, material = stand.adapter(), material_of(pki.make_certificate(("*.example.com", "example.com")))
    adapter.bind("*.example.com", adapter.upload(material))
    assert adapter.bound_sha256("*.example.com") == adapter.bound_sha256(".example.com") == material.sha256
    assert served(stand, "any.example.com") == material.sha256


def test_a_domain_without_a_certificate_has_none_bound(stand: Stand) -> None:
    stand.add_domain(DOMAIN)
    assert stand.adapter().bound_sha256(DOMAIN) is None


def test_domains_are_listed(stand: Stand) -> None:
    stand.add_domain(DOMAIN)
    stand.add_domain("www.example.com")
    assert sorted(stand.adapter().list_domains()) == [DOMAIN, "www.example.com"]


def test_good_credentials_are_confirmed(stand: Stand) -> None:
    stand.adapter().check_credentials()


def test_wrong_credentials_are_a_credential_error(stand: Stand, new: pki.Made) -> None:
    adapter = stand.adapter(secret="not-the-secret-at-all")
    for call in (adapter.check_credentials, adapter.list_domains, lambda: adapter.upload(material_of(new))):
        assert refusal(call) == (errors.CREDENTIALS, True)


def test_a_key_of_another_certificate_is_refused(stand: Stand, old: pki.Made, new: pki.Made) -> None:
    mixed = pki.Made(new.leaf, new.intermediates, new.root, old.key)
    assert refusal(lambda: stand.adapter().upload(material_of(mixed))) == (errors.CERTIFICATE_REFUSED, True)
    assert stand.stored() == []


def test_an_unknown_domain_is_gone(stand: Stand, new: pki.Made) -> None:
    adapter = stand.adapter()
    remote_id = adapter.upload(material_of(new))
    assert refusal(lambda: adapter.bind("gone.example.com", remote_id)) == (errors.TARGET_GONE, True)
    assert refusal(lambda: adapter.bound_sha256("gone.example.com")) == (errors.TARGET_GONE, True)


def test_a_certificate_that_left_the_store_is_a_certificate_error(stand: Stand) -> None:
    stand.add_domain(DOMAIN)
    assert refusal(lambda: stand.adapter().bind(DOMAIN, "404")) == (errors.CERTIFICATE_REFUSED, True)


def test_a_cloud_that_does_not_answer_is_unavailable(stand: Stand, new: pki.Made) -> None:
    adapter = stand.adapter()
    stand.stop()
    assert refusal(lambda: adapter.upload(material_of(new))) == (errors.UNAVAILABLE, False)


def test_a_stale_answer_is_followed_by_the_truth(stand: Stand, old: pki.Made, new: pki.Made) -> None:
    stand.add_domain(DOMAIN, old)
    adapter = stand.adapter()
    before = adapter.bound_sha256(DOMAIN)
    adapter.bind(DOMAIN, adapter.upload(material_of(new)))
    stand.faults.add(stand.actions["read"], Fault.STALE, 2)
    seen = [adapter.bound_sha256(DOMAIN) for _ in range(3)]
    assert seen == [before, before, material_of(new).sha256]


FAULTS = [
    (Fault.THROTTLED,       errors.THROTTLED,    False),
    (Fault.UNAVAILABLE,     errors.UNAVAILABLE,  False),
    (Fault.HTML_502,        errors.UNAVAILABLE,  False),
    (Fault.RESET,           errors.UNAVAILABLE,  False),
    (Fault.LOST,            errors.UNAVAILABLE,  False),
    (Fault.SLOW,            errors.UNAVAILABLE,  False),
    (Fault.FORBIDDEN,       errors.PERMISSION,   True),
    (Fault.BAD_CREDENTIALS, errors.CREDENTIALS,  True),
    (Fault.VANISHED,        errors.TARGET_GONE,  True),
]  # fmt: skip


@pytest.mark.parametrize("step", ["upload", "bind", "read"])
@pytest.mark.parametrize(("fault", "code", "is_permanent"), FAULTS, ids=[str(row[0]) for row in FAULTS])
def test_a_fault_has_its_class_leaks_no_secret_and_leaves_nothing_double(
    stand: Stand,
    new: pki.Made,
    caplog: pytest.LogCaptureFixture,
    step: str,
    fault: Fault,
    code: str,
    is_permanent: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    stand.add_domain(DOMAIN)
    adapter, material = stand.adapter(), material_of(new)
    stand.faults.add(stand.actions[step], fault)
    with pytest.raises(AdapterError) as caught:
        deploy(adapter, material_of(new))
    assert (caught.value.code, caught.value.permanent) == (code, is_permanent)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.params) + caplog.text
    assert_no_secret(told, new, stand)
    assert deploy(adapter, material) == material.sha256 == served(stand)
    assert stand.stored() == [material.sha256]


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST, Fault.RESET])
def test_a_fault_that_repeats_ends_in_one_upload(stand: Stand, new: pki.Made, fault: Fault) -> None:
    stand.add_domain(DOMAIN)
    for action in stand.actions.values():
        stand.faults.add(action, fault, 2)
    tries = 0
    while refusal(lambda: deploy(stand.adapter(), material_of(new))) is not None:
        tries += 1
        assert tries < 10
    assert stand.stored() == [material_of(new).sha256]
    assert served(stand) == material_of(new).sha256


def deploy(adapter: CloudProductAdapter, material: object) -> str | None:
    adapter.bind(DOMAIN, adapter.upload(material))  # type: ignore[arg-type]
    return adapter.bound_sha256(DOMAIN)


def served(stand: Stand, host: str = DOMAIN) -> str:
    (one,) = see_served(host, stand.edge_address, timeout=5, allowed_networks=LOOPBACK)
    return one.sha256


def refusal(call: Callable[[], object]) -> tuple[str, bool] | None:
    """The code of the AdapterError that a call raises, and whether it is permanent."""
    try:
        call()
    except AdapterError as error:
        return error.code, error.permanent
    return None


def assert_no_secret(text: str, made: pki.Made, stand: Stand) -> None:
    lines = [line for line in made.key_pem.splitlines() if not line.startswith("-----")]
    assert "PRIVATE KEY" not in text
    assert not [line for line in lines if line[:20] in text]
    assert not [secret for secret in stand.secrets if secret in text]
