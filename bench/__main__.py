"""`python -m bench` (make bench): every benchmark, one after another."""

from __future__ import annotations

from bench import engine

engine.main()
