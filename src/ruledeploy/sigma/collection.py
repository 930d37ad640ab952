"""Sigma's old way to write several rules in one file: `action: global`, `reset` and `repeat`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID, uuid5

from ruledeploy.errors import RuleError
from ruledeploy.yamldoc import YamlDoc

ACTIONS = ("global", "reset", "repeat")


def written_out(documents: Iterable[YamlDoc]) -> Iterator[YamlDoc]:
    """Each rule with what it shares.

    `global` holds for all that follow, until `reset`; `repeat` is the rule before, with changes.
    Rules that share an id get ids of their own from the second on. Raises `RuleError` for an
    unknown action, and for `repeat` with nothing before it.
    """
    shared: YamlDoc | None = None
    before: YamlDoc | None = None
    taken = 0
    for doc in documents:
        action = doc.value.get("action") if isinstance(doc.value, Mapping) else None
        match action:
            case None:
                before = doc if shared is None else _over(shared, doc)
            case "global":
                shared = doc if shared is None else _over(shared, doc)
                continue
            case "reset":
                shared = None
                continue
            case "repeat" if before is not None:
                before = _over(before, doc)
            case "repeat":
                raise RuleError("there is no rule to repeat", location=doc.at("action"))
            case _:
                message, hint = f"action {action!r} is unknown", f"one of {', '.join(ACTIONS)}"
                raise RuleError(message, location=doc.at("action"), hint=hint)
        if before.behind is None or "id" in _own(doc):
            yield before
            continue
        yield _renumbered(before, taken)
        taken += 1


def _own(doc: YamlDoc) -> Mapping[str, Any]:
    return doc.value if isinstance(doc.value, Mapping) else {}


def _over(below: YamlDoc, doc: YamlDoc) -> YamlDoc:
    value = _merged(below.value, _own(doc))
    value.pop("action", None)
    return YamlDoc(doc.path, value, doc.node, below)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings merge at every depth; anything else is replaced."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            out[key] = _merged(old, value)
        else:
            out[key] = value
    return out


def _renumbered(doc: YamlDoc, number: int) -> YamlDoc:
    """The rule under an id of its own, which stays as long as its place in the file does."""
    written = doc.value.get("id")
    if number == 0 or not isinstance(written, str):
        return doc
    try:
        made = str(uuid5(UUID(written), str(number)))
    except ValueError:
        return doc  # reading the rule says what is wrong with it
    return YamlDoc(doc.path, {**doc.value, "id": made}, doc.node, doc.behind)
