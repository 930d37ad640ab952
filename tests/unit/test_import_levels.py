"""Imports go down only, never sideways: the levels of docs/architecture.md, enforced."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "ruledeploy"

# The parts of level 0 build on one another, in this order.
LEVELS = {
    "errors": 0.0,
    "paths": 0.05,
    "model": 0.1,
    "fields": 0.2,
    "yamldoc": 0.3,
    "yamledit": 0.4,
    "project": 1,
    "query": 1,
    "telemetry": 1,
    "sigma": 2,
    "allowlist": 3,
    "engine": 3,
    "kibana": 3,
    "report": 3,
    "compile": 4,
    "deploy": 5,
    "verify": 5,
    "stack": 5,
    "cli": 6,
    # What a third party imports; it may use everything.
    "testing": 7,
}
# Packages that only one of ours may import.
OWNERS = {
    "sigma": {"sigma"},
    "ruamel": {"yamledit"},
    "rich": {"report"},
    "typer": {"cli"},
    "starlette": {"stack"},
}
MODULES = sorted(SOURCE.rglob("*.py"))


def part_of(path: Path) -> str:
    """The package or module right below `ruledeploy` that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Dotted names of everything a module imports, at any depth of its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            if node.module == "ruledeploy":
                found.update(f"ruledeploy.{alias.name}" for alias in node.names)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down_only(path: Path) -> None:
    """A module imports only from levels below its own, or from its own package."""
    part = part_of(path)
    if part in {"__init__", "data", "__main__"}:
        return
    for name in imports_of(path):
        pieces = name.split(".")
        if pieces[0] != "ruledeploy" or len(pieces) == 1:
            continue
        target = pieces[1]
        if target in {part, "__version__"}:
            continue
        assert target in LEVELS, f"{target} has no level"
        assert LEVELS[target] < LEVELS[part], f"{part} imports {target}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_library_has_one_importer(path: Path) -> None:
    """pySigma, rich, Typer and Starlette each stay behind one package."""
    part = part_of(path)
    for name in imports_of(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or part in owners, f"{part} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_modules_stay_small(path: Path) -> None:
    """No module passes 600 lines."""
    assert len(path.read_text("utf-8").splitlines()) <= 600
