"""Which rules an overlay names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from ruledeploy.allowlist.overlay import Overlay
from ruledeploy.errors import Collector, Location, OverlayError
from ruledeploy.model import Finding


@dataclass(frozen=True, slots=True)
class KnownRule:
    """A rule of the repository: how overlays may name it, and what it became here.

    `compiled` maps each deployed `rule_id` to its telemetry family; it is empty for a rule that
    is not deployed in this environment.
    """

    id: str
    title: str
    tags: frozenset[str]
    compiled: tuple[tuple[str, str], ...] = ()


def target_rules(
    overlay: Overlay, rules: Sequence[KnownRule]
) -> tuple[tuple[KnownRule, ...], list[Finding]]:
    """The rules that `overlay` names, in the order given, each once.

    Raises `OverlayError` or `Problems` for every name that no rule has: an allowlist for a rule
    that does not exist would silently do nothing.
    """
    collector = Collector()
    findings: list[Finding] = []
    chosen: dict[str, KnownRule] = {}
    for name, place in overlay.rules or ():
        found = _named(name, rules)
        if not found:
            collector.add(_unknown(name, place, rules))
        chosen.update({rule.id: rule for rule in found})
        if found and not any(rule.compiled for rule in found):
            message = (
                f"{name} is not deployed in this environment, so the overlay does nothing to it"
            )
            findings.append(Finding("info", "rule-not-deployed", message, place))
    collector.raise_if_any()
    return tuple(chosen.values()), findings


def _named(name: str, rules: Sequence[KnownRule]) -> list[KnownRule]:
    if name == "any":
        return list(rules)
    if name.startswith("tag:"):
        tag = name.removeprefix("tag:").replace("_", "-").lower()
        return [rule for rule in rules if tag in rule.tags]
    return [rule for rule in rules if name.lower() == rule.id or name == rule.title]


def _unknown(name: str, place: Location, rules: Sequence[KnownRule]) -> OverlayError:
    names = {rule.title: f"{rule.title} ({rule.id})" for rule in rules}
    names |= {rule.id: f"{rule.id} ({rule.title})" for rule in rules}
    names |= {f"tag:{tag}": f"tag:{tag}" for rule in rules for tag in rule.tags}
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {names[near[0]]}?" if near else "give an id, a title, tag:… or any"
    return OverlayError(f"no rule is named {name!r}", location=place, hint=hint)
