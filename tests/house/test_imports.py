"""One way down."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.house.sources import ROOT, ours, tree_of


def test_the_contracts_of_the_layers_hold():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("portal", ["flask", "sqlalchemy"]),
        ("portal.domain.hosting", ["flask", "sqlalchemy", "redis", "rq", "requests"]),
        ("portal.cli", ["flask", "sqlalchemy", "Tea"]),
        ("portal.app", ["Tea", "alibabacloud_tea_openapi", "acme", "jobs"]),
    ],
)
def test_importing_one_does_not_load_the_other(module, absent):
    code = f"import sys, {module}; print([one for one in {absent!r} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name", [one for one in ours("portal", "jobs") if not one.startswith("portal/services/")]
)
def test_only_services_commit(name):
    calls = [node for node in ast_calls(name) if node == "db.session.commit"]
    assert not calls


#: `portal doctor` holds this machine's clock against the database's.
CLOCK_CHECKS = {"portal/services/checkup.py"}


@pytest.mark.parametrize("name", sorted(set(ours("portal/domain", "portal/services")) - CLOCK_CHECKS))
def test_neither_rules_nor_services_read_the_clock(name):
    forbidden = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "utc_now", "time.time"}
    assert not forbidden & set(ast_calls(name))


@pytest.mark.parametrize("name", [one for one in ours("portal", "jobs") if one != "portal/settings.py"])
def test_only_the_settings_read_the_environment(name):
    reads = [
        ast.unparse(node)
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv", "os.environb"}
    ]
    assert not reads


def ast_calls(name: str) -> list[str]:
    """The dotted names of everything that a module calls."""
    return [ast.unparse(node.func) for node in ast.walk(tree_of(name)) if isinstance(node, ast.Call)]
