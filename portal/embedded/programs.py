"""The processes of an installation: what the Procfile names, as one machine runs them."""

from __future__ import annotations

import socket
import sys

from portal.embedded.supervisor import Program

WORKERS = 2


def web(host: str, port: int) -> Program:
    """gunicorn with the whole portal, loaded once and shared by its workers."""
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    options = {
        "worker-class": "gthread",
        "workers": "2",
        "threads": "4",
        "bind": bind,
        "timeout": "60",
        "graceful-timeout": "10",
        "max-requests": "20000",
        "max-requests-jitter": "2000",
    }
    parts = tuple(part for name, value in options.items() for part in (f"--{name}", value))
    command = (
        sys.executable,
        "-m",
        "gunicorn",
        "portal.wsgi:serve()",
        "--preload",
        "--no-control-socket",
    )
    return Program("web", command + parts)


def background() -> list[Program]:
    """The workers, the scheduler and the watchdog. A worker finishes its job before it ends, hence the patience."""
    workers = [
        Program(f"worker-{number}", (sys.executable, "-m", "jobs.worker"), stop_seconds=25)
        for number in range(1, WORKERS + 1)
    ]
    scheduler = Program("scheduler", (sys.executable, "-m", "jobs.schedule"))
    return [*workers, scheduler, Program("watchdog", (sys.executable, "-m", "jobs.watchdog"), stop_seconds=5)]


def free_port(host: str, wanted: int) -> int:
    """`wanted` if it can be listened on, else a free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (wanted, 0):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no free port on {host}")


def local_url(host: str, port: int) -> str:
    """The address to type into a browser on this machine."""
    named = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104
    return f"http://[{named}]:{port}" if ":" in named else f"http://{named}:{port}"
