"""`python -m bench [scan|renewal|waiting|engine …]` (make bench): those benchmarks, or every one of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from bench import engine, renewal, scan, waiting

BENCHMARKS: Mapping[str, Callable[[], None]] = {
    "scan": scan.main,
    "renewal": renewal.main,
    "waiting": waiting.main,
    "engine": engine.main,
}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    for name in names or BENCHMARKS:
        BENCHMARKS[name]()


main()
