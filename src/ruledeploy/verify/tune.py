"""Allowlist items proposed from alerts: who alerts often, by what can be trusted about it.

A proposal is written as an overlay, compiled and run like any other. What it hides is counted, not
guessed, and one that hides a known attack is withdrawn.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml

from ruledeploy.compile import PLAIN, Means, compile_release
from ruledeploy.engine import Document, EmbeddedEngine
from ruledeploy.model import DetectionRule, Environment, Event, Release, value_of
from ruledeploy.project import Project
from ruledeploy.telemetry import Scenario
from ruledeploy.verify.blindspots import hidden_attacks
from ruledeploy.verify.past import Past
from ruledeploy.verify.running import Bench, bench, engine_rule, summary

SCHEMA = 1
_DAYS = 90
_LONGEST_ID = 40
# By which fields an actor is known, per family; the first must be there.
_KNOWN_BY: Mapping[str, tuple[str, ...]] = {
    "endpoint-library": (
        "process.executable",
        "dll.path",
        "dll.code_signature.subject_name",
        "dll.code_signature.trusted",
    ),
}
_PROCESS = (
    "process.executable",
    "process.code_signature.subject_name",
    "process.code_signature.trusted",
)
_TRUSTED = ("process.code_signature.trusted", "dll.code_signature.trusted")
# Folders that an ordinary user cannot write to.
_PROTECTED = re.compile(
    r"(?i)^c:\\(windows|program files( \(x86\))?)\\(?!temp\\|tasks\\|tracing\\)"
)
# Parts of a path that differ from user to user and from release to release.
_USER = re.compile(r"(?i)^([a-z]:\\users\\)[^\\]+")
_VERSION = re.compile(r"\\v?\d+(\.\d+)+[^\\]*(?=\\)")


@dataclass(frozen=True, slots=True)
class Proposal:
    """One item, what it would hide, and why it is not proposed, if it is not.

    `match` is a Sigma selection: field to value, `*` and `?` being wildcards.
    """

    item_id: str
    match: Mapping[str, str]
    events: int
    hosts: int
    first: str
    last: str
    example: str
    refused: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "item_id": self.item_id,
            "match": dict(self.match),
            "events": self.events,
            "hosts": self.hosts,
            "first": self.first,
            "last": self.last,
            "example": self.example,
            "refused": self.refused,
        }


@dataclass(frozen=True, slots=True)
class Tuned:
    """Proposals for one rule, what they leave alerting, and the overlay that says them."""

    rule: str
    source_id: str
    alerts: int
    left: int
    proposals: tuple[Proposal, ...]
    overlay: str

    def to_json(self) -> dict[str, Any]:
        """The fixed shape that renderers read."""
        return {
            "rule": self.rule,
            "source_id": self.source_id,
            "alerts": self.alerts,
            "left": self.left,
            "proposals": [one.to_json() for one in self.proposals],
            "overlay": self.overlay,
        }


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is tuned: whose release, on which events, and how often makes an actor a habit.

    `anyone` also proposes actors that are neither signed nor in a folder that only
    administrators write to.
    """

    project: Project
    env: Environment
    day: date
    past: Past
    library: Mapping[str, Scenario]
    at_least: int = 5
    anyone: bool = False
    only: str = ""
    means: Means = PLAIN


@dataclass(slots=True)
class _Actor:
    """One group of alerts, by what its actor is known by."""

    match: dict[str, str]
    ids: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    times: list[str] = field(default_factory=list)
    example: str = ""


def tune(what: Tuning) -> tuple[Tuned, ...]:
    """Proposals for every rule of the release that alerts, most alerts first."""
    release = compile_release(what.project, what.env, what.day, what.means)
    table = bench(EmbeddedEngine(), release)
    rules, _ = table.runnable(release)
    wanted = [rule for rule in rules if what.only.lower() in rule.name.lower()]
    alerting = _alerts(what, release, wanted, table)
    tuned = [_tuned(what, rule, alerting[rule.rule_id]) for rule in wanted]
    return tuple(sorted((one for one in tuned if one.alerts), key=lambda one: -one.alerts))


def _alerts(
    what: Tuning, release: Release, rules: Sequence[DetectionRule], table: Bench
) -> dict[str, tuple[str, ...]]:
    """Alerting ids by rule."""
    asked = [engine_rule(release, rule) for rule in rules]
    hits = what.past.engine.run(asked, what.past.source, what.past.window, table.now)
    return {rule_id: found.event_ids for rule_id, found in hits.items()}


def _tuned(what: Tuning, rule: DetectionRule, ids: tuple[str, ...]) -> Tuned:
    events = what.past.events(tuple(rule.body.get("index", ())), ids) if ids else ()
    ordered = sorted(events, key=lambda one: (str(value_of(one.source, "@timestamp")), one.id))
    proposals = _named(_proposal(actor, what.anyone) for actor in _actors(rule, ordered, what))
    proposals = _without_attacks(what, rule, proposals)
    kept = [one for one in proposals if not one.refused]
    left, hidden = _counted(what, rule, kept) if kept else (len(ids), {})
    counted = [
        replace(one, events=one.events if one.refused else hidden.get(one.item_id, 0))
        for one in proposals
    ]
    return Tuned(
        rule=rule.name,
        source_id=rule.provenance.source_id,
        alerts=len(ids),
        left=left,
        proposals=tuple(counted),
        overlay=overlay_text(what, rule, kept) if kept else "",
    )


def _counted(
    what: Tuning, rule: DetectionRule, kept: Sequence[Proposal]
) -> tuple[int, dict[str, int]]:
    """What still alerts when the overlay is in force, and how many events each item hides."""
    release = _with_overlay(what, rule, kept)
    (again,) = [one for one in release.rules if one.rule_id == rule.rule_id]
    now = bench(EmbeddedEngine(), release).now
    asked = engine_rule(release, again)
    hits = what.past.engine.run([asked], what.past.source, what.past.window, now)[rule.rule_id]
    prefix = f"{_overlay_id(what, rule)}/"
    sources = {item.item_id: item.provenance.source_id for item in release.items}
    hidden: dict[str, set[str]] = {}
    for item_id, ids in hits.suppressed.items():
        if sources[item_id].startswith(prefix):
            hidden.setdefault(sources[item_id].removeprefix(prefix), set()).update(ids)
    return hits.count, {item_id: len(ids) for item_id, ids in hidden.items()}


def _with_overlay(what: Tuning, rule: DetectionRule, kept: Sequence[Proposal]) -> Release:
    """The release as it would be with the proposals in the environment's last overlay folder."""
    path = f"{what.project.exceptions_folder}/{what.env.overlays[-1]}/tuned.yml"
    text = overlay_text(what, rule, kept).encode()
    project = replace(what.project, files={**what.project.files, path: text})
    return compile_release(project, what.env, what.day, what.means)


def _actors(rule: DetectionRule, events: Iterable[Document], what: Tuning) -> list[_Actor]:
    """Groups of at least so many alerts, the biggest first."""
    groups: dict[tuple[tuple[str, str], ...], _Actor] = {}
    for one in events:
        match = _known_by(rule, one.source)
        if not match:
            continue
        actor = groups.setdefault(tuple(match.items()), _Actor(match))
        actor.ids.append(one.id)
        actor.hosts.add(str(value_of(one.source, "host.name")))
        actor.times.append(str(value_of(one.source, "@timestamp")))
        actor.example = actor.example or summary(one.source)
    often = [actor for actor in groups.values() if len(actor.ids) >= what.at_least]
    return sorted(often, key=lambda actor: (-len(actor.ids), tuple(actor.match.values())))


def _known_by(rule: DetectionRule, event: Event) -> dict[str, str]:
    """The selection that tells this event's actor from others; empty when nothing does."""
    names = _KNOWN_BY.get(rule.family, _PROCESS)
    found = {name: value_of(event, name) for name in names}
    if found[names[0]] is None:
        return {}
    return {
        name: _general(_escaped(value)) if isinstance(value, str) else str(value).lower()
        for name, value in found.items()
        if value is not None
    }


def _escaped(text: str) -> str:
    r"""A literal as Sigma writes it: `*`, `?`, and a backslash before one of them or itself."""
    out = []
    for here, following in zip(text, [*text[1:], ""], strict=True):
        risky = here in "*?" or (here == "\\" and following in ("\\", "*", "?"))
        out.append(f"\\{here}" if risky else here)
    return "".join(out)


def _general(path: str) -> str:
    r"""A path for every user and every release: in Sigma `\\*` is a backslash and a wildcard."""
    return _VERSION.sub(r"\\\\*", _USER.sub(r"\1\\*", path))


def _proposal(actor: _Actor, anyone: bool) -> Proposal:
    trusted = any(actor.match.get(name) == "true" for name in _TRUSTED)
    subject = any(name.endswith("subject_name") for name in actor.match)
    protected = _PROTECTED.match(next(iter(actor.match.values())))
    refused = ""
    if not ((trusted and subject) or protected or anyone):
        refused = "no trusted signature, and anyone can write to its folder"
    times = sorted(actor.times)
    return Proposal(
        "",
        actor.match,
        len(actor.ids),
        len(actor.hosts),
        times[0],
        times[-1],
        actor.example,
        refused,
    )


def _named(proposals: Iterable[Proposal]) -> list[Proposal]:
    """Ids after the program's name; a number tells apart those that share one."""
    taken: Counter[str] = Counter()
    named = []
    for one in proposals:
        path = next(iter(one.match.values()))
        stem = PureWindowsPath(path).stem if "\\" in path else PurePosixPath(path).stem
        slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:_LONGEST_ID] or "program"
        taken[slug] += 1
        suffix = f"-{taken[slug]}" if taken[slug] > 1 else ""
        named.append(replace(one, item_id=f"{slug}{suffix}"))
    return named


def _without_attacks(
    what: Tuning, rule: DetectionRule, proposals: list[Proposal]
) -> list[Proposal]:
    """The proposals, those withdrawn that would hide an attack of the library."""
    kept = [one for one in proposals if not one.refused]
    if not kept:
        return proposals
    release = _with_overlay(what, rule, kept)
    hiding = hidden_attacks(release, EmbeddedEngine(), what.library)
    prefix = f"{_overlay_id(what, rule)}/"
    return [
        replace(one, refused=f"it would hide {', '.join(attacks)}")
        if (attacks := hiding.get(f"{prefix}{one.item_id}"))
        else one
        for one in proposals
    ]


def overlay_text(what: Tuning, rule: DetectionRule, proposals: Sequence[Proposal]) -> str:
    """The overlay file; owner, reason and ticket are left to the person who takes it over."""
    days = min(_DAYS, what.env.policy.max_days or _DAYS)
    items = [_item(one, what.day + timedelta(days=days), what.env) for one in proposals]
    overlay = {
        "title": f"Habits seen by {rule.name}",
        "id": _overlay_id(what, rule),
        "rules": [rule.provenance.source_id],
        "items": items,
    }
    return yaml.safe_dump(overlay, sort_keys=False, allow_unicode=True, width=120)


def _overlay_id(what: Tuning, rule: DetectionRule) -> str:
    name = f"ruledeploy:{what.project.name}:tuned:{rule.provenance.source_id}"
    return str(uuid5(NAMESPACE_URL, name))


def _item(one: Proposal, until: date, env: Environment) -> dict[str, Any]:
    seen = f"{one.events} alerts on {one.hosts} hosts from {one.first} to {one.last}"
    item: dict[str, Any] = {
        "id": one.item_id,
        "name": f"{one.item_id} as seen in {env.name}",
        "match": dict(one.match),
        "owner": "TODO",
        "reason": f"TODO say why this is harmless. Seen: {seen}, such as {one.example}",
    }
    if "ticket" in env.policy.require:
        item["ticket"] = "TODO"
    return {**item, "expires": until}
