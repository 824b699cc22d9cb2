"""Where the milliseconds of a renewal go: `python -m bench.profile [--kind postgresql] [--count 200]`.

One process drives renewals through the real steps against Pebble, under cProfile, and counts statements, commits and
requests. Output is text for people.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from bench.installation import backends, installation
from bench.measuring import own_cpu
from bench.pebbles import ca_config, running_pebble
from bench.rows import add_hosted, make_ids_due, open_shop
from portal.adapters.ca.acme_http import AcmeConnection
from portal.clock import utc_now
from portal.extensions import db
from portal.services import driving, renewal_steps, scanning


def _count(counts: Counter[str], statements: Counter[str]) -> None:
    """Count what goes to the database and to the CA from now on."""

    def on_statement(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        counts["statements"] += 1
        words = re.sub(r"\s+", " ", statement)
        table = re.search(r"(?:FROM|UPDATE|INTO) (\w+)", words)
        statements[f"{words.split()[0]} {table.group(1) if table else '?'}"] += 1

    event.listen(db.engine, "before_cursor_execute", on_statement)
    event.listen(db.engine, "commit", lambda _c: counts.update(commits=1))
    send = AcmeConnection.send

    def counted(self: AcmeConnection, method: str, url: str, *rest: Any, **more: Any) -> Any:
        counts["requests"] += 1
        counts[f"request {method} /{url.split('/')[3]}"] += 1
        return send(self, method, url, *rest, **more)

    AcmeConnection.send = counted  # type: ignore[method-assign]


@contextmanager
def steps_timed() -> Iterator[dict[str, float]]:
    """CPU seconds by step, and of everything else, while this lasts."""
    spent: dict[str, float] = {}
    steps: Any = renewal_steps.KIND.steps
    known = dict(steps)
    for state, step in known.items():
        steps[state] = _timed(f"step {state.value}", step, spent)
    recording, driving.record = driving.record, _timed("record", driving.record, spent)
    before = own_cpu()
    try:
        yield spent
    finally:
        spent["all else"] = own_cpu() - before - sum(spent.values())
        steps.update(known)
        driving.record = recording


def _timed(name: str, function: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:
        before = own_cpu()
        try:
            return function(*arguments, **named)
        finally:
            spent[name] = spent.get(name, 0.0) + own_cpu() - before

    return timed


def main() -> None:
    """Profile and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", default="sqlite")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--lines", type=int, default=70)
    options = parser.parse_args()
    kinds = (options.kind,)
    with running_pebble() as ca, backends(kinds=kinds) as servers, installation(servers, options.kind):
        shop = open_shop("acme", ca_config(ca), utc_now())
        add_and_run(shop, 20, "warm")
        plain = add_and_run(shop, options.count, "plain")
        with steps_timed() as spent:
            add_and_run(shop, options.count, "timed")
        counts: Counter[str] = Counter()
        statements: Counter[str] = Counter()
        _count(counts, statements)
        profiler = cProfile.Profile()
        add_and_run(shop, options.count, "profiled", profiler)
    print(f"{options.kind}: {plain * 1000:.2f} ms CPU a renewal in one process, without RQ\n")
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {seconds * 1000 / options.count:7.2f} ms  {name}")
    for title, found in (("a renewal", counts), ("statements a renewal", statements)):
        print(title)
        for name, number in found.most_common():
            print(f"  {number / options.count:7.2f}  {name}")
    for order in ("cumulative", "tottime"):
        text = io.StringIO()
        pstats.Stats(profiler, stream=text).sort_stats(order).print_stats(options.lines)
        print(text.getvalue())


def add_and_run(shop: Any, count: int, prefix: str, profiler: cProfile.Profile | None = None) -> float:
    """CPU seconds a renewal."""
    ids = add_hosted(shop, count, utc_now(), prefix=prefix)
    make_ids_due(ids, utc_now())
    db.session.remove()
    before = own_cpu()
    if profiler:
        profiler.enable()
    scanning.work_until_idle()
    if profiler:
        profiler.disable()
    return (own_cpu() - before) / count


if __name__ == "__main__":
    main()
