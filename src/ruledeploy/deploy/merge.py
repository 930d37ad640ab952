"""Three-way merge of one object: last applied, live and desired, field by field.

Who changed a field since we last applied it decides. Only the files: the files win. Only
analysts: their work stays. Both, differently: a conflict, until someone says whose. Sets (tags,
links to exception lists, keys of `meta`) are merged element by element: all we want is there,
all that others added stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ruledeploy.deploy.normalise import normalise, same
from ruledeploy.deploy.objects import Kind
from ruledeploy.model import JsonObject

# Whose side wins where both changed: the files' (`--ours`) or the server's (`--theirs`).
Side = Literal["ours", "theirs"]

_MISSING: Any = object()

# Analysts' daily work: without a known base these stay as they are on the server.
_THEIRS_BY_DEFAULT = frozenset({"enabled", "actions"})
_SETS = frozenset({"tags", "exceptions_list", "meta", "values"})
# A PUT without these keeps what is stored: files that do not speak of them ask for nothing.
_SILENCE_KEEPS = frozenset({"enabled", "version"})


@dataclass(frozen=True, slots=True)
class FieldStates:
    """One field in three of its states; None where the state lacks it."""

    field: str
    applied: Any
    live: Any
    desired: Any

    def to_json(self) -> dict[str, Any]:
        """Plain form `{field, applied, live, desired}`."""
        return {
            "field": self.field,
            "applied": self.applied,
            "live": self.live,
            "desired": self.desired,
        }


class _Values(NamedTuple):
    """One field's normalised values, `_MISSING` where a state lacks it."""

    field: str
    base: Any
    live: Any
    desired: Any

    def shown(self) -> FieldStates:
        return FieldStates(self.field, *(None if v is _MISSING else v for v in self[1:]))


@dataclass(frozen=True, slots=True)
class Merged:
    """The body to have, what analysts changed and keep, and what both changed."""

    body: dict[str, Any]
    kept: tuple[FieldStates, ...] = ()
    conflicts: tuple[FieldStates, ...] = ()


def merge(
    kind: Kind,
    base: JsonObject | None,
    live: JsonObject,
    desired: JsonObject,
    side: Side | None = None,
) -> Merged:
    """Merge; without `base` (adopted) the files win but for `enabled` and `actions`.

    `side` settles conflicts; `ours` also takes back what analysts changed alone.
    """
    have, want = normalise(kind, live), normalise(kind, desired)
    was = normalise(kind, base) if base is not None else None
    body: dict[str, Any] = {}
    kept: list[FieldStates] = []
    conflicts: list[FieldStates] = []
    for field in sorted(have.keys() | want.keys() | (was or {}).keys()):
        values = _Values(
            field,
            (was or {}).get(field, _MISSING),
            have.get(field, _MISSING),
            want.get(field, _MISSING),
        )
        if field in _SETS:
            value = _merge_set(values)
        else:
            value, verdict = _merge_field(values, adopted=was is None, side=side)
            if verdict == "kept":
                kept.append(values.shown())
            elif verdict == "conflict":
                conflicts.append(values.shown())
        if value is not _MISSING:
            body[field] = value
    return Merged(body, tuple(kept), tuple(conflicts))


def blend(kind: Kind, bodies: Sequence[JsonObject], live: JsonObject) -> dict[str, Any]:
    """What was last applied to an object that may have any of several bodies, newest first.

    After a push that died, each write of it may or may not have been carried out. So each field
    is as in the body that agrees with the server, else as in the oldest, which surely was
    applied; a set holds whatever any of the bodies put there.
    """
    states = [normalise(kind, body) for body in bodies]
    have = normalise(kind, live)
    result: dict[str, Any] = {}
    for field in sorted(set().union(*states)):
        values = [state.get(field, _MISSING) for state in states]
        if field in _SETS:
            elements: dict[Any, Any] = {}
            for value in values:
                elements |= _elements(field, value)
            result[field] = _from_elements(field, elements)
            continue
        now = have.get(field, _MISSING)
        value = next((one for one in values if _same(field, one, now)), values[-1])
        if value is not _MISSING:
            result[field] = value
    return result


_Verdict = Literal["settled", "kept", "conflict"]


def _merge_field(values: _Values, *, adopted: bool, side: Side | None) -> tuple[Any, _Verdict]:
    """The value to have, and whether someone should be told."""
    field, base, live, desired = values
    if _same(field, live, desired):
        return live, "settled"
    if desired is _MISSING and (base is _MISSING or field in _SILENCE_KEEPS):
        # The files do not speak of it and never did: the server's or an analyst's own.
        return live, "settled"
    if adopted:
        keep = live is not _MISSING and field in _THEIRS_BY_DEFAULT
        return (live, "kept") if keep else (desired, "settled")
    if _same(field, live, base) or side == "ours":
        return desired, "settled"
    if _same(field, desired, base):
        return live, "kept"
    return (live, "kept") if side == "theirs" else (live, "conflict")


def _same(field: str, one: Any, other: Any) -> bool:
    if one is _MISSING or other is _MISSING:
        return one is other
    return same(field, one, other)


def _merge_set(values: _Values) -> Any:
    """Everything desired, and what is live without our having put it there."""
    field, base, live, desired = values
    if live is _MISSING and desired is _MISSING:
        return _MISSING
    was, have, want = (_elements(field, v) for v in (base, live, desired))
    result = {**want, **{key: value for key, value in have.items() if key not in was | want}}
    if field == "exceptions_list":
        # The uuid is the server's; what it has is right.
        result = {key: have.get(key, link) for key, link in result.items()}
    if not result and live is _MISSING:
        return _MISSING
    return _from_elements(field, result)


def _elements(field: str, value: Any) -> dict[Any, Any]:
    if value is _MISSING or value is None:
        return {}
    if field == "meta":
        return dict(value)
    if field == "exceptions_list":
        return {(link["list_id"], link["namespace_type"]): link for link in value}
    return {tag: tag for tag in value}


def _from_elements(field: str, elements: dict[Any, Any]) -> Any:
    return elements if field == "meta" else list(elements.values())
