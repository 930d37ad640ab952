"""What one environment has that another lacks, or has otherwise: two releases of the same files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ruledeploy.deploy.adopted import unmarked
from ruledeploy.deploy.normalise import normalise, same
from ruledeploy.deploy.objects import Kind, Owner
from ruledeploy.model import (
    DetectionRule,
    Environment,
    ExceptionItem,
    ExceptionList,
    JsonObject,
    Provenance,
    Release,
)

# `missing`: the first environment has it and the second lacks it; `extra`: the other way round.
What = Literal["missing", "extra", "differs"]
# Where an environment is and who we are there is no difference worth promoting.
_SETTINGS = (
    "language", "interval", "lookback", "attack_version", "overlays", "confirm", "indices",
    "policy",
)  # fmt: skip
# Ids and links that follow from what is told anyway.
_FOLLOWS = frozenset({"item_id", "list_id", "exceptions_list"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not alike. `fields` maps a field to its value here and there."""

    kind: Literal["rule", "overlay", "item", "setting"]
    id: str
    name: str
    what: What
    source: Provenance | None = None
    fields: Mapping[str, tuple[Any, Any]] | None = None
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain form `{kind, id, name, what, path, line, fields, hint}`."""
        return {
            "kind": self.kind,
            "id": self.id,
            "name": self.name,
            "what": self.what,
            "path": self.source.path if self.source else None,
            "line": self.source.line if self.source else None,
            "fields": [
                {"field": name, "from": one, "to": other}
                for name, (one, other) in (self.fields or {}).items()
            ],
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True)
class Side:
    """One environment and what its files mean there."""

    project: str
    env: Environment
    release: Release

    @property
    def owner(self) -> Owner:
        """Whose marks its objects carry."""
        return Owner(self.project, self.env.name)


def differences(here: Side, there: Side) -> tuple[Difference, ...]:
    """What `there` lacks, has besides, or has otherwise; rules, overlays, items, settings."""
    return (
        *_rules(here, there),
        *_overlays(here, there),
        *_items(here, there),
        *_settings(here.env, there.env),
    )


def _rules(here: Side, there: Side) -> Iterator[Difference]:
    ours, theirs = ({rule.rule_id: rule for rule in side.release.rules} for side in (here, there))
    for rule_id in _every(ours, theirs):
        one, other = ours.get(rule_id), theirs.get(rule_id)
        yield from _compared("rule", rule_id, (here, one), (there, other))


def _overlays(here: Side, there: Side) -> Iterator[Difference]:
    """By the overlay's id; its lists for several families are one overlay."""
    ours, theirs = (
        {each.provenance.source_id: each for each in side.release.lists} for side in (here, there)
    )
    for overlay in _every(ours, theirs):
        one, other = ours.get(overlay), theirs.get(overlay)
        yield from _compared("overlay", overlay, (here, one), (there, other))


def _items(here: Side, there: Side) -> Iterator[Difference]:
    """By `<overlay id>/<item id>`; several patterns, or lists, of one item are told as one."""
    ours, theirs = (_by_source(side.release.items) for side in (here, there))
    for source in _every(ours, theirs):
        mine, others = ours.get(source, []), theirs.get(source, [])
        if not mine or not others:
            one, other = (each[0] if each else None for each in (mine, others))
            yield from _compared("item", source, (here, one), (there, other))
            continue
        pairs = zip(mine, others, strict=False)
        found = [
            difference
            for one, other in pairs
            for difference in _compared("item", source, (here, one), (there, other))
        ]
        if len(mine) != len(others) and not found:
            count = {"entries": (f"{len(mine)} items", f"{len(others)} items")}
            one = mine[0]
            name = str(one.body["name"])
            found = [Difference("item", source, name, "differs", one.provenance, count)]
        yield from found[:1]


def _by_source(items: Iterable[ExceptionItem]) -> dict[str, list[ExceptionItem]]:
    found: dict[str, list[ExceptionItem]] = {}
    for item in items:
        found.setdefault(item.provenance.source_id, []).append(item)
    return found


_Object = DetectionRule | ExceptionList | ExceptionItem


def _compared(
    kind: Literal["rule", "overlay", "item"],
    id_: str,
    here: tuple[Side, _Object | None],
    there: tuple[Side, _Object | None],
) -> Iterator[Difference]:
    one, other = here[1], there[1]
    if one is not None and other is not None:
        wire: Kind = "list" if kind == "overlay" else kind
        fields = dict(_fields(_plain(wire, here), _plain(wire, there)))
        if fields:
            name = str(one.body["name"])
            yield Difference(kind, id_, name, "differs", one.provenance, fields)
    elif one is not None:
        hint = _hint(kind, one.provenance, there[0].env)
        yield Difference(kind, id_, str(one.body["name"]), "missing", one.provenance, hint=hint)
    elif other is not None:
        yield Difference(kind, id_, str(other.body["name"]), "extra", other.provenance)


def _plain(kind: Kind, side: tuple[Side, _Object | None]) -> dict[str, Any]:
    owner, found = side[0].owner, side[1]
    assert found is not None  # noqa: S101  # the caller has looked
    return normalise(kind, unmarked(kind, found.body, owner))


def _fields(one: JsonObject, other: JsonObject) -> Iterator[tuple[str, Any]]:
    for field in sorted((one.keys() | other.keys()) - _FOLLOWS):
        here, there = one.get(field), other.get(field)
        missing = here is None or there is None
        if here != there and (missing or not same(field, here, there)):
            yield field, (here, there)


def _hint(kind: str, source: Provenance, there: Environment) -> str:
    if kind == "rule":
        return f"add {there.name} to elastic.environments in {source.path}"
    if any(f"/{folder}/" in source.path for folder in there.overlays):
        return (
            f"{there.name} reads {source.path}: a later folder calls it absent, or no rule uses it"
        )
    return f"{source.path} is in no folder that {there.name} reads: {', '.join(there.overlays)}"


def _settings(here: Environment, there: Environment) -> Iterator[Difference]:
    for name in _SETTINGS:
        one, other = _shown(getattr(here, name)), _shown(getattr(there, name))
        if one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            fields = {
                f"{name}.{key}": (one.get(key), other.get(key))
                for key in sorted(one.keys() | other.keys())
                if one.get(key) != other.get(key)
            }
        else:
            fields = {name: (one, other)}
        yield Difference("setting", name, name, "differs", fields=fields)


def _shown(value: Any) -> Any:
    """A setting as JSON."""
    if isinstance(value, Mapping):
        return {str(key): _shown(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return list(value)
    if hasattr(value, "__dataclass_fields__"):
        return {name: _shown(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def _every(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    return sorted(ours.keys() | theirs.keys())
