"""Structured logs: one JSON object a line, or coloured lines for a person at a terminal."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor


def configure(as_json: bool, level: int = logging.INFO) -> None:
    """Set up structlog; what is below `level` is not written. Safe to call again."""
    structlog.configure(
        processors=[*_facts(), _renderer(as_json)],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )


def capture_standard_library(as_json: bool) -> None:
    """Have what libraries log written in the same form; for processes that are ours alone."""
    only_ours = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[only_ours, _renderer(as_json)], foreign_pre_chain=_facts()
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


def _facts() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]


def _renderer(as_json: bool) -> Processor:
    if as_json:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
