"""Searches to ask of a cluster, and how hard it may be worked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ruledeploy.engine.kept import Store
from ruledeploy.errors import RuledeployError
from ruledeploy.model import JsonObject

# Called after each batch with how many searches are done, of how many.
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Question:
    """One search: the rule it is for, where it looks, its body."""

    rule_id: str
    index: str
    body: JsonObject


# A question under its key, with its answer or with why there is none.
Answered: TypeAlias = tuple[bytes, Question, Mapping[str, Any] | RuledeployError]


@dataclass(frozen=True, slots=True)
class Load:
    """How hard a cluster may be worked, who hears how far it is, and what remembers answers.

    An answer is remembered under its search: give a store only for windows that are over.
    `patience` is how many seconds a batch may take (the client's own time-out, if unsaid); what
    takes longer is asked as async searches, where the cluster has them.
    """

    max_concurrent: int = 4
    progress: Progress | None = None
    store: Store | None = None
    patience: float | None = None
