"""Rules by what others call them: filters, correlations, a command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import TypeAlias

from ruledeploy.errors import Location, RuleError
from ruledeploy.sigma.source import RuleHead

# A part of a name says something when it is as long as this.
_WORD = 4
_SHOWN = 3

References: TypeAlias = Mapping[str, tuple[RuleHead, ...]]


def references(
    heads: Iterable[RuleHead], called: Callable[[RuleHead], Iterable[str | None]]
) -> References:
    """The documents that each name is of; `called` gives the names of one besides its id."""
    known: dict[str, tuple[RuleHead, ...]] = {}
    ids: dict[str, tuple[RuleHead, ...]] = {}
    for head in heads:
        ids[head.id] = (head,)
        for name in dict.fromkeys(called(head)):
            if name:
                known[name] = (*known.get(name, ()), head)
    return known | ids


def by_reference(known: References, wanted: str, place: Location | None = None) -> RuleHead:
    """The one document of that id (in any letter case) or name.

    Raises `RuleError` at `place` for a name of none, and for one of several, which nobody may
    choose from.
    """
    found = known.get(wanted) or known.get(wanted.lower(), ())
    if not found:
        hint = _nearest(wanted, known) or "give a rule's id or name"
        raise RuleError(f"no rule is named {wanted!r}", location=place, hint=hint)
    if len(found) > 1:
        ids = ", ".join(f"{head.id} in {head.path}" for head in found)
        message = f"{wanted!r} is the name of {len(found)} rules"
        raise RuleError(message, location=place, hint=f"use the id: {ids}")
    return found[0]


def _nearest(wanted: str, known: References) -> str:
    """The names that may have been meant: alike, or else those that hold what was written."""
    close = get_close_matches(wanted, known, n=1)
    if not close and len(wanted) >= _WORD:
        close = [name for name in known if wanted.lower() in name.lower()]
    shown = " or ".join(repr(name) for name in close[:_SHOWN])
    return f"did you mean {shown}?" if shown else ""
