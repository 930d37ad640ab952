"""Splitting the single rule into rule and base overlay changes no alert."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.engine import Document, EmbeddedEngine, Memory
from support import split

LANGUAGES = ["lucene", "esql"]


def alerting(language: str, documents: tuple[Document, ...]) -> tuple[set[str], set[str]]:
    """Ids of the events on which the original alerts, and those on which the split does."""
    original, ours = split.original_and_split(language)
    hits = EmbeddedEngine().run([original, ours], Memory(documents), None, split.DAY)
    return set(hits[original.rule_id].event_ids), set(hits[ours.rule_id].event_ids)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_simulated_days_alert_alike(language: str) -> None:
    """On an attack day and a benign day both alert on the same events, and on some."""
    original, ours = alerting(language, split.simulated_days())
    assert original == ours
    assert len(original) > 100


@pytest.mark.parametrize("language", LANGUAGES)
@given(generated=st.lists(split.events(), min_size=1, max_size=20))
def test_generated_events_alert_alike(language: str, generated: list[dict[str, Any]]) -> None:
    """Whatever a process calls itself, in any case, several times or not at all."""
    original, ours = alerting(language, split.as_documents(generated))
    assert original == ours


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_missing_name_alerts_and_a_trusted_one_in_any_case_does_not(language: str) -> None:
    """The two halves of Sigma's meaning that conversions lose."""

    def event(**process: Any) -> dict[str, Any]:
        call = {"api": {"name": "WriteProcessMemory"}}
        return {
            "@timestamp": "2026-11-24T10:00:00Z",
            "event": {"category": "api"},
            "process": {**process, "Ext": call},
        }

    spelled = [name.upper() for name in split.TRUSTED]
    trusted = [event(name=name) for name in [*split.TRUSTED, *spelled]]
    documents = split.as_documents([event(), event(name="prototype.exe"), *trusted])
    assert alerting(language, documents) == ({"g00000", "g00001"}, {"g00000", "g00001"})
