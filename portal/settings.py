"""Every setting of an installation. `from_env()` is the only reader of the environment."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

#: Uploads of certificates and keys are small; whatever is larger is refused before it is read.
MAX_UPLOAD_BYTES = 256 * 1024


#: What fits into sockaddr_un.sun_path beside its closing NUL (unix(7)).
LONGEST_SOCKET_PATH = 107


class SettingsError(Exception):
    """A setting is missing or wrong; the text names the variable and says what it should be."""


@dataclass(frozen=True)
class FaultPlan:
    """Deliberate faults for tests: at the named fault point do `action` ("kill", "raise" or "sleep:SECONDS"), once."""

    points: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Settings:
    """Plain values. Times are seconds unless the name says otherwise; addresses are URLs without a trailing slash."""

    data_dir: Path
    database_url: str
    redis_url: str
    secret_key: str = field(repr=False)
    #: Version → 32 bytes. The highest version seals; every version opens.
    master_keys: Mapping[int, bytes] = field(repr=False)
    #: The file they came from, read again when an envelope names a version that is not known yet (rotation).
    master_keys_file: Path | None = None
    base_url: str = "http://127.0.0.1:8080"
    secure_cookies: bool = False
    trusted_proxies: int = 0
    mail_url: str = ""
    mail_from: str = "Perennial <perennial@localhost>"
    payment_gateway: str = "sandbox"
    payment_sandbox_url: str = ""
    payment_sandbox_secret: str = field(default="", repr=False)
    aliyun_endpoints: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: Networks (CIDR) beside the global ones that live checks may connect to; a sandbox allows 127.0.0.0/8.
    allowed_networks: tuple[str, ...] = ()
    hosting_window_days: int = 15
    lease_seconds: float = 60.0
    ring_again_seconds: float = 30.0
    tick_seconds: int = 2
    sweep_seconds: int = 60
    scheduler_silent_after: float = 60.0
    #: A worker that has not been heard for longer is missed: longer than the longest job (portal.doorbell).
    worker_silent_after: float = 200.0
    #: Work that was due this long ago is overdue; a mail that has waited three times as long is stuck.
    overdue_after: float = 300.0
    #: How far two clocks may be apart.
    clock_tolerance: float = 600.0
    #: The watchdog looks this often, and mails what nobody else has mailed for this long itself.
    watch_seconds: float = 30.0
    alarm_grace: float = 120.0
    #: Asked by the watchdog after every round that found nothing wrong: whoever answers there misses it otherwise.
    heartbeat_url: str = field(default="", repr=False)
    propagation_seconds: float = 900.0
    step_timeout: float = 20.0
    #: Where a CA reads http-01 answers; other ports are for test CAs.
    challenge_http_port: int = 80
    challenge_https_port: int = 443
    #: Where the name servers of zones are asked whether a validation record is there; another port is for tests.
    name_server_port: int = 53
    #: A name known to be signed: where a resolver does not say so, it does not validate DNSSEC.
    dnssec_probe: str = "."
    default_locale: str = "zh_Hans"
    default_timezone: str = "Asia/Shanghai"
    log_json: bool = True
    faults: FaultPlan = field(default_factory=FaultPlan)

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")


def _text(env: Mapping[str, str], name: str, default: str = "") -> str:
    """The value of `name`, or the content of the file that `name`_FILE points to."""
    if path := env.get(f"{name}_FILE"):
        try:
            return Path(path).read_text("utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{name}_FILE: cannot read {path}: {error.strerror}") from None
    return env.get(name, default)


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = _text(env, name, str(default))
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"{name}: expected a number, got {text!r}") from None


def _json(env: Mapping[str, str], name: str) -> Mapping[str, str]:
    text = _text(env, name, "{}")
    try:
        value = json.loads(text)
    except ValueError:
        raise SettingsError(f"{name}: expected a JSON object") from None
    if not isinstance(value, dict):
        raise SettingsError(f"{name}: expected a JSON object")
    return MappingProxyType({str(key): str(part) for key, part in value.items()})


def kept_secret(path: Path, make: str) -> str:
    """The secret in `path`; on the first run `make` is written there, readable by this user alone.

    It appears whole or not at all, so that of two processes that start first one wins and both read the same.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(make + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)
        fresh.unlink()
    return path.read_text("utf-8").strip()


def parse_master_keys(text: str) -> Mapping[int, bytes]:
    """Read "1:HEX" pairs separated by spaces, commas or new lines. Raises SettingsError."""
    keys: dict[int, bytes] = {}
    for pair in text.replace(",", " ").split():
        version, _, digits = pair.partition(":")
        try:
            keys[int(version)] = bytes.fromhex(digits)
        except ValueError:
            raise SettingsError("PORTAL_MASTER_KEYS: expected VERSION:HEX pairs") from None
    if not keys or any(len(key) != 32 for key in keys.values()):
        raise SettingsError("PORTAL_MASTER_KEYS: each master key is 32 bytes (64 hex digits)")
    return MappingProxyType(keys)


def master_key_file(data_dir: Path) -> Path:
    """Where an embedded installation keeps its master keys. Losing this file loses every stored key."""
    return data_dir / "master.keys"


def embedded_socket(data_dir: Path) -> Path:
    """The socket of an installation's own Redis: in the data folder, or in a short private folder named after it."""
    path = data_dir / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"perennial-{os.getuid()}-{digest}" / "redis.sock"


def child_environment(overrides: Mapping[str, str], env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a process that we start: ours, with `overrides`."""
    return {**(os.environ if env is None else env), **overrides}


def is_set(name: str, env: Mapping[str, str] | None = None) -> bool:
    """Whether the variable (or its `_FILE` variant) has been given, so that nothing embedded replaces it."""
    env = os.environ if env is None else env
    return bool(env.get(name) or env.get(f"{name}_FILE"))


def _master_keys(env: Mapping[str, str], data_dir: Path) -> tuple[Mapping[int, bytes], Path | None]:
    if "PORTAL_MASTER_KEYS_FILE" not in env and env.get("PORTAL_MASTER_KEYS"):
        return parse_master_keys(env["PORTAL_MASTER_KEYS"]), None
    path = Path(env.get("PORTAL_MASTER_KEYS_FILE") or master_key_file(data_dir))
    if "PORTAL_MASTER_KEYS_FILE" in env:
        return parse_master_keys(_text(env, "PORTAL_MASTER_KEYS")), path
    return parse_master_keys(kept_secret(path, f"1:{secrets.token_hex(32)}")), path


def _pace(env: Mapping[str, str]) -> dict[str, Any]:
    """How quick things are, in seconds."""
    return {
        "lease_seconds": _number(env, "PORTAL_LEASE_SECONDS", 60),
        "ring_again_seconds": _number(env, "PORTAL_RING_AGAIN_SECONDS", 30),
        "tick_seconds": int(_number(env, "PORTAL_TICK_SECONDS", 2)),
        "sweep_seconds": int(_number(env, "PORTAL_SWEEP_SECONDS", 60)),
        "scheduler_silent_after": _number(env, "PORTAL_SCHEDULER_SILENT_AFTER", 60),
        "worker_silent_after": _number(env, "PORTAL_WORKER_SILENT_AFTER", 200),
        "overdue_after": _number(env, "PORTAL_OVERDUE_AFTER", 300),
        "clock_tolerance": _number(env, "PORTAL_CLOCK_TOLERANCE", 600),
        "watch_seconds": _number(env, "PORTAL_WATCH_SECONDS", 30),
        "alarm_grace": _number(env, "PORTAL_ALARM_GRACE", 120),
        "propagation_seconds": _number(env, "PORTAL_PROPAGATION_SECONDS", 900),
        "step_timeout": _number(env, "PORTAL_STEP_TIMEOUT", 20),
    }


def _validation(env: Mapping[str, str]) -> dict[str, Any]:
    """How names are looked at."""
    return {
        "challenge_http_port": int(_number(env, "PORTAL_CHALLENGE_HTTP_PORT", 80)),
        "challenge_https_port": int(_number(env, "PORTAL_CHALLENGE_HTTPS_PORT", 443)),
        "name_server_port": int(_number(env, "PORTAL_NAME_SERVER_PORT", 53)),
        "dnssec_probe": _text(env, "PORTAL_DNSSEC_PROBE", "."),
    }


def from_env(env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Every variable has a `_FILE` variant. Raises SettingsError."""
    env = os.environ if env is None else env
    data_dir = Path(_text(env, "PORTAL_DATA_DIR", "./var")).absolute()
    base_url = _text(env, "PORTAL_BASE_URL", "http://127.0.0.1:8080").rstrip("/")
    master_keys, master_keys_file = _master_keys(env, data_dir)
    return Settings(
        data_dir=data_dir,
        database_url=_text(env, "PORTAL_DATABASE_URL", f"sqlite:///{data_dir / 'portal.db'}"),
        redis_url=_text(env, "PORTAL_REDIS_URL", f"unix://{quote(str(embedded_socket(data_dir)))}"),
        secret_key=_text(env, "PORTAL_SECRET_KEY")
        or kept_secret(data_dir / "secret.key", secrets.token_urlsafe(48)),
        master_keys=master_keys,
        master_keys_file=master_keys_file,
        base_url=base_url,
        secure_cookies=base_url.startswith("https://"),
        trusted_proxies=int(_number(env, "PORTAL_TRUSTED_PROXIES", 0)),
        mail_url=_text(env, "PORTAL_MAIL_URL"),
        mail_from=_text(env, "PORTAL_MAIL_FROM", "Perennial <perennial@localhost>"),
        payment_gateway=_text(env, "PORTAL_PAYMENT_GATEWAY", "sandbox"),
        payment_sandbox_url=_text(env, "PORTAL_PAYMENT_SANDBOX_URL").rstrip("/"),
        payment_sandbox_secret=_text(env, "PORTAL_PAYMENT_SANDBOX_SECRET"),
        aliyun_endpoints=_json(env, "PORTAL_ALIYUN_ENDPOINTS"),
        allowed_networks=tuple(_text(env, "PORTAL_ALLOWED_NETWORKS").replace(",", " ").split()),
        hosting_window_days=int(_number(env, "PORTAL_HOSTING_WINDOW_DAYS", 15)),
        heartbeat_url=_text(env, "PORTAL_HEARTBEAT_URL"),
        default_locale=_text(env, "PORTAL_DEFAULT_LOCALE", "zh_Hans"),
        default_timezone=_text(env, "PORTAL_DEFAULT_TIMEZONE", "Asia/Shanghai"),
        log_json=_text(env, "PORTAL_LOG_FORMAT", "json") == "json",
        faults=FaultPlan(_json(env, "PORTAL_FAULTS")),
        **_pace(env),
        **_validation(env),
    )
