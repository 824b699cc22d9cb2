"""Other people's programs, as they come: certbot (PyPI, in an environment of its own) and lego (Debian).

Where one cannot be had the result says so. PERENNIAL_BENCH_CACHE names the folder that keeps certbot's environment
between runs; by default it is made anew under the temporary folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from bench.measuring import children_cpu
from bench.pebbles import running_pebble
from tests.pebble import Pebble
from tests.servers import listening_socket

CACHE = "PERENNIAL_BENCH_CACHE"
COMMAND_TIMEOUT = 120


@dataclass(frozen=True)
class Cost:
    """What something cost on the average."""

    cpu_ms: float
    per_second: float


def certbot_program() -> Path | None:
    """certbot, installed where it is not there yet; None where that fails."""
    folder = Path(os.environ.get(CACHE) or Path(tempfile.gettempdir()) / f"perennial-bench-{os.getuid()}")
    program = folder / "certbot-venv" / "bin" / "certbot"
    if not program.exists():
        make = [sys.executable, "-m", "venv", str(program.parents[1])]
        install = [str(program.parent / "python"), "-m", "pip", "install", "--quiet", "certbot"]
        try:
            for command in (make, install):
                subprocess.run(command, check=True, timeout=600, stdout=subprocess.DEVNULL)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"certbot could not be installed: {error}", file=sys.stderr)
            return None
    return program


def version_of(program: Path | str, option: str = "--version") -> str:
    """What a program calls its version."""
    said = subprocess.run([str(program), option], capture_output=True, text=True, check=False, timeout=60)
    return (said.stdout + said.stderr).strip().splitlines()[-1]


class Certbot:
    """certbot in folders of its own, with the manual plug-in: nothing has to be set up for a validation."""

    def __init__(self, program: Path, folder: Path, server: Pebble) -> None:
        self.folder = folder
        self._command = [str(program)]
        self._options = [
            "--config-dir", str(folder / "config"), "--work-dir", str(folder / "work"),
            "--logs-dir", str(folder / "logs"), "--server", server.directory_url, "--non-interactive",
        ]  # fmt: skip
        bundle = str(server.ca_bundle_path)
        self._environment = {
            "PATH": os.environ["PATH"],
            "REQUESTS_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
        }

    def run(self, verb: str, *options: str) -> None:
        """Raises CalledProcessError with what it wrote."""
        run_command([*self._command, verb, *self._options, *options], self._environment)

    def register(self) -> None:
        self.run("register", "--agree-tos", "--register-unsafely-without-email")

    def issue(self, name: str) -> None:
        self.run(
            "certonly", "--manual", "--preferred-challenges", "http", "--manual-auth-hook", "/bin/true",
            "--key-type", "ecdsa", "--elliptic-curve", "secp256r1", "-d", name,
        )  # fmt: skip

    def renew(self) -> None:
        self.run("renew")


class Lego:
    """lego with its http-01 server on a loopback port."""

    def __init__(self, folder: Path, server: Pebble) -> None:
        with listening_socket() as free:
            port = free.getsockname()[1]
        self._command = [
            shutil.which("lego") or "lego", "--server", server.directory_url, "--accept-tos",
            "--email", "bench@bench.example", "--path", str(folder), "--http", "--http.port", f"127.0.0.1:{port}",
            "--key-type", "ec256",
        ]  # fmt: skip
        self._environment = {"PATH": os.environ["PATH"], "LEGO_CA_CERTIFICATES": str(server.ca_bundle_path)}

    def issue(self, name: str) -> None:
        run_command([*self._command, "--domains", name, "run"], self._environment)


def run_command(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Raises CalledProcessError; its text ends with what the program wrote."""
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, check=False, timeout=COMMAND_TIMEOUT
    )
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {(done.stdout + done.stderr)[-1500:]}")
    return done.stdout


def cost_of(action: Callable[[int], object], count: int) -> Cost:
    """The cost of one of `count` calls that run other programs, one after another."""
    before, started = children_cpu(), monotonic()
    for number in range(count):
        action(number)
    return Cost((children_cpu() - before) * 1000 / count, count / (monotonic() - started))


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as name:
        yield Path(name)


@dataclass(frozen=True)
class CertbotScan:
    cpu_ms_per_lineage: float
    figures: dict[str, Any]


def certbot_scan(sizes: Sequence[int]) -> CertbotScan | None:
    """`certbot renew` where nothing is due, over so many lineages; copies of one that it made itself."""
    if (program := certbot_program()) is None:
        return None
    spent: dict[int, float] = {}
    with running_pebble() as server:
        for size in sizes:
            with _folder() as folder:
                certbot = Certbot(program, folder, server)
                certbot.register()
                certbot.issue("l0.bench.example")
                for number in range(1, size):
                    _copy_lineage(folder / "config", "l0.bench.example", f"l{number}.bench.example")
                spent[size] = cost_of(lambda _, one=certbot: one.renew(), 1).cpu_ms
    small, large = min(sizes), max(sizes)
    each = (spent[large] - spent[small]) / (large - small)
    figures: dict[str, Any] = {"version": version_of(program), "cpu_ms_per_lineage": each}
    figures |= {f"cpu_ms_at_{size}": value for size, value in spent.items()}
    figures["ratio"] = spent[large] / spent[small]
    return CertbotScan(each, figures)


def _copy_lineage(config: Path, old: str, new: str) -> None:
    (config / "live" / new).mkdir()
    shutil.copytree(config / "archive" / old, config / "archive" / new)
    for part in ("cert", "privkey", "chain", "fullchain"):
        (config / "live" / new / f"{part}.pem").symlink_to(f"../../archive/{new}/{part}1.pem")
    text = (config / "renewal" / f"{old}.conf").read_text("utf-8")
    (config / "renewal" / f"{new}.conf").write_text(re.sub(re.escape(old), new, text), "utf-8")
