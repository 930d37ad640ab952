"""The original single rule, and what it was split into: our rule and the base overlay.

Both go through the same compiler. Sigma's meaning decides what is right: names are compared
without regard to case, and an event without a `process.name` passes the filter.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from ruledeploy.compile import compile_release
from ruledeploy.engine import Document, EngineRule
from ruledeploy.model import Release
from ruledeploy.project import load_project, read_folder
from ruledeploy.telemetry import attack_day, benign_day
from ruledeploy.verify.running import documents_of, engine_rule

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "sigma" / "original_single_rule.yml"
INDEX = "logs-endpoint.events.api-default"
DAY = datetime(2026, 11, 24, tzinfo=UTC)
SPLIT_ID = "5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b"
TRUSTED: list[str] = yaml.safe_load(FIXTURE.read_text())["detection"]["filter"]["process.name"]


@cache
def release(language: str) -> Release:
    """The release of the base overlay alone, with the original rule beside ours."""
    files = read_folder(ROOT)
    rules = {path: data for path, data in files.items() if path.startswith("rules/windows/api/")}
    base = {path: data for path, data in files.items() if path.startswith("exceptions/base/")}
    toml = (
        f'[project]\nname = "split"\n[defaults]\nlanguage = "{language}"\n'
        '[env.base]\nkibana_url = "embedded:"\nexceptions = ["base"]\n'
    )
    given = {"ruledeploy.toml": toml.encode(), "rules/original.yml": FIXTURE.read_bytes()}
    project = load_project({**rules, **base, **given})
    return compile_release(project, project.environment("base"), date(2026, 11, 24))


def original_and_split(language: str) -> tuple[EngineRule, EngineRule]:
    """The single rule without exceptions, and ours with the items of the base overlay."""
    compiled = release(language)
    split = next(rule for rule in compiled.rules if rule.rule_id == SPLIT_ID)
    original = next(rule for rule in compiled.rules if rule.rule_id != SPLIT_ID)
    assert not original.linked_lists
    assert len(compiled.items_of(split)) == 7
    return engine_rule(compiled, original), engine_rule(compiled, split)


@cache
def simulated_days() -> tuple[Document, ...]:
    """The attack day and the benign day after it."""
    return documents_of([*attack_day(1, DAY), *benign_day(1, DAY + timedelta(days=1))])


def _spellings(name: str) -> st.SearchStrategy[str]:
    """A trusted name, or something that must not be taken for it."""
    return st.sampled_from(
        [
            name,
            name.lower(),
            name.upper(),
            name.swapcase(),
            f" {name}",
            f"{name} ",
            f"x{name}",
            f"{name}x",
            name.removesuffix(".exe"),
            name.replace("s", "\u017f"),  # the long s, which upper-cases to S
            name.replace(
                "i", "\u0130"
            ),  # the dotted capital I, which lower-cases to two characters
            f"C:\\Windows\\System32\\{name}",
            name + "\0",
            name * 100,
        ]
    )


_NAME = st.one_of(st.sampled_from(TRUSTED).flatmap(_spellings), st.text(max_size=12))
_NAMES = st.one_of(_NAME, st.none(), st.lists(st.one_of(_NAME, st.none()), max_size=3))
_API = st.sampled_from(["WriteProcessMemory", "writeprocessmemory", "VirtualProtect", None])
_CATEGORY = st.sampled_from(["api", ["api", "intrusion_detection"], "API", "process", [], None])


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """An API event whose process name, category and call are anything; any may be missing."""
    process: dict[str, Any] = {"Ext": {"api": {"name": draw(_API)}}}
    if draw(st.booleans()) or draw(st.booleans()):
        process["name"] = draw(_NAMES)
    return {
        "@timestamp": "2026-11-24T10:00:00.000Z",
        "event": {"category": draw(_CATEGORY), "ingested": "2026-11-24T10:00:03.000Z"},
        "process": process,
    }


def as_documents(generated: list[dict[str, Any]]) -> tuple[Document, ...]:
    """Generated events, numbered."""
    return tuple(Document(INDEX, f"g{n:05d}", event) for n, event in enumerate(generated))
