from __future__ import annotations

import stat
import threading
from dataclasses import fields
from pathlib import Path

import pytest

from portal.settings import (
    LONGEST_SOCKET_PATH,
    Settings,
    SettingsError,
    embedded_socket,
    from_env,
    is_set,
    kept_secret,
    master_key_file,
    parse_master_keys,
)

KEY = "11" * 32
OTHER = "22" * 32


def settings_of(tmp_path: Path, **env: str) -> Settings:
    return from_env({"PORTAL_DATA_DIR": str(tmp_path), **env})


def test_an_empty_environment_is_an_embedded_installation(tmp_path):
    settings = settings_of(tmp_path)
    assert settings.is_sqlite
    assert settings.database_url == f"sqlite:///{tmp_path}/portal.db"
    assert settings.redis_url.startswith("unix://")
    assert settings.default_locale == "zh_Hans"
    assert not settings.secure_cookies
    assert settings.faults.points == {}


def test_an_https_address_makes_cookies_secure(tmp_path):
    settings = settings_of(tmp_path, PORTAL_BASE_URL="https://certs.example.com/")
    assert settings.base_url == "https://certs.example.com"
    assert settings.secure_cookies


def test_secrets_are_made_once_and_kept_from_others(tmp_path):
    first, second = settings_of(tmp_path), settings_of(tmp_path)
    assert first.secret_key == second.secret_key
    assert first.master_keys == second.master_keys
    for path in (tmp_path / "secret.key", master_key_file(tmp_path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_installations_share_no_secret(tmp_path):
    one, other = settings_of(tmp_path / "one"), settings_of(tmp_path / "other")
    assert one.secret_key != other.secret_key
    assert one.master_keys != other.master_keys


def test_secrets_are_not_in_the_repr(tmp_path):
    settings = settings_of(
        tmp_path,
        PORTAL_SECRET_KEY="s3cr3t",
        PORTAL_MASTER_KEYS=f"1:{KEY}",
        PORTAL_PAYMENT_SANDBOX_SECRET="p4y",
    )
    text = repr(settings)
    assert not [secret for secret in ("s3cr3t", KEY, "p4y", repr(bytes.fromhex(KEY))) if secret in text]


def test_a_secret_can_come_from_a_file(tmp_path):
    file = tmp_path / "given"
    file.write_text("from a file\n")
    assert settings_of(tmp_path, PORTAL_SECRET_KEY_FILE=str(file)).secret_key == "from a file"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"PORTAL_SECRET_KEY_FILE: cannot read /nowhere"):
        settings_of(tmp_path, PORTAL_SECRET_KEY_FILE="/nowhere")


@pytest.mark.parametrize(
    ("name",                       "value", "field",             "expected"),
    [
        ("PORTAL_LEASE_SECONDS",    "1.5",   "lease_seconds",     1.5),
        ("PORTAL_TICK_SECONDS",     "1",     "tick_seconds",      1),
        ("PORTAL_HOSTING_WINDOW_DAYS", "0",  "hosting_window_days", 0),
        ("PORTAL_TRUSTED_PROXIES",  "2",     "trusted_proxies",   2),
        ("PORTAL_LOG_FORMAT",       "text",  "log_json",          False),
        ("PORTAL_ALLOWED_NETWORKS", "127.0.0.0/8, ::1/128", "allowed_networks", ("127.0.0.0/8", "::1/128")),
        ("PORTAL_ALIYUN_ENDPOINTS", '{"cdn": "http://127.0.0.1:1"}', "aliyun_endpoints", {"cdn": "http://127.0.0.1:1"}),
    ],
)  # fmt: skip
def test_a_variable_sets_its_field(tmp_path, name, value, field, expected):
    assert getattr(settings_of(tmp_path, **{name: value}), field) == expected


def test_faults_are_read_from_json(tmp_path):
    assert settings_of(tmp_path, PORTAL_FAULTS='{"renewal.started.before": "kill"}').faults.points == {
        "renewal.started.before": "kill"
    }


@pytest.mark.parametrize(
    ("name",                  "value",  "complaint"),
    [
        ("PORTAL_LEASE_SECONDS",  "soon",   "PORTAL_LEASE_SECONDS: expected a number, got 'soon'"),
        ("PORTAL_FAULTS",         "kill",   "PORTAL_FAULTS: expected a JSON object"),
        ("PORTAL_FAULTS",         "[1]",    "PORTAL_FAULTS: expected a JSON object"),
        ("PORTAL_MASTER_KEYS",    "1:11",   "each master key is 32 bytes"),
        ("PORTAL_MASTER_KEYS",    "one",    "expected VERSION:HEX pairs"),
        ("PORTAL_MASTER_KEYS",    f"x:{KEY}", "expected VERSION:HEX pairs"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_name(tmp_path, name, value, complaint):
    with pytest.raises(SettingsError, match=complaint):
        settings_of(tmp_path, **{name: value})


@pytest.mark.parametrize("between", [" ", ",", "\n", ", "])
def test_master_keys_are_versioned(between):
    assert parse_master_keys(f"1:{KEY}{between}2:{OTHER}") == {1: bytes.fromhex(KEY), 2: bytes.fromhex(OTHER)}


def test_no_master_key_at_all_is_refused():
    with pytest.raises(SettingsError, match="32 bytes"):
        parse_master_keys(" ")


def test_a_kept_secret_is_not_made_twice(tmp_path):
    path = tmp_path / "deep" / "secret"
    assert kept_secret(path, "first") == kept_secret(path, "second") == "first"


def test_a_long_data_folder_gets_a_short_socket(tmp_path):
    deep = tmp_path / ("x" * 100)
    assert embedded_socket(Path("/srv/portal")) == Path("/srv/portal/redis.sock")
    assert len(str(embedded_socket(deep))) <= LONGEST_SOCKET_PATH
    assert embedded_socket(deep) == embedded_socket(deep)
    assert embedded_socket(deep) != embedded_socket(tmp_path / ("y" * 100))


def test_a_variable_is_set_also_through_its_file():
    assert is_set("PORTAL_REDIS_URL", {"PORTAL_REDIS_URL_FILE": "/run/redis"})
    assert not is_set("PORTAL_REDIS_URL", {"PORTAL_REDIS_URL": ""})


def test_settings_cannot_be_changed():
    assert Settings.__dataclass_params__.frozen
    assert {"secret_key", "master_keys", "payment_sandbox_secret"} <= {
        one.name for one in fields(Settings) if not one.repr
    }


def test_of_many_first_starts_one_secret_is_kept(tmp_path):
    path, gate, seen = tmp_path / "secret.key", threading.Barrier(8), []

    def start(number):
        gate.wait(10)
        seen.append(kept_secret(path, f"secret {number}"))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)
    assert len(seen) == 8
    assert set(seen) == {path.read_text("utf-8").strip()}
    assert [one.name for one in tmp_path.iterdir()] == ["secret.key"]
