"""Allowlist items proposed from alerts: who alerts often, by what can be trusted about it.

A proposal is written beside what the rule's overlay holds, compiled and run like any other. What
it hides is counted, not guessed, and one that hides a known attack is withdrawn.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import count
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from ruledeploy.compile import PLAIN, Means, compile_release
from ruledeploy.engine import Document, EmbeddedEngine, Hits
from ruledeploy.errors import Problems, RuledeployError
from ruledeploy.model import DetectionRule, Environment, Event, Release, value_of
from ruledeploy.project import Project
from ruledeploy.query.parse import index_patterns
from ruledeploy.telemetry import Scenario
from ruledeploy.verify.blindspots import hidden_attacks
from ruledeploy.verify.past import Past, Sought
from ruledeploy.verify.running import bench, engine_rule, refuse_unknown, summary
from ruledeploy.verify.tune_overlay import (
    Home,
    Proposal,
    home_of,
    overlay_text,
    taken_over,
    usual_path,
)

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
class Tuned:
    """Proposals for one rule, what they leave alerting, and the overlay that says them.

    `path` is the file of the project that `overlay`, or its items, belong to.
    """

    rule: str
    source_id: str
    alerts: int
    left: int
    proposals: tuple[Proposal, ...]
    overlay: str = ""
    path: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fixed shape that renderers read."""
        return {
            "rule": self.rule,
            "source_id": self.source_id,
            "alerts": self.alerts,
            "left": self.left,
            "proposals": [one.to_json() for one in self.proposals],
            "overlay": self.overlay,
            "path": self.path,
        }


@dataclass(frozen=True, slots=True)
class Proposed:
    """What is proposed for every rule, and the files that hold it all once it is taken over."""

    rules: tuple[Tuned, ...]
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is tuned: whose release, on which events, and how often makes an actor a habit.

    `anyone` also proposes actors that are neither signed nor in a folder that only
    administrators write to. `path` is the file of the project for overlays that have none yet.
    """

    project: Project
    env: Environment
    day: date
    past: Past
    library: Mapping[str, Scenario]
    at_least: int = 5
    anyone: bool = False
    only: str = ""
    path: str = ""
    means: Means = PLAIN

    @property
    def until(self) -> date:
        """When the items expire."""
        days = min(_DAYS, self.env.policy.max_days or _DAYS)
        return self.day + timedelta(days=days)

    def release(self) -> Release:
        """What the files compile to."""
        return compile_release(self.project, self.env, self.day, self.means)

    def with_overlay(self, home: Home, overlay: str) -> Tuning:
        """The same on files that have the overlay's items too."""
        files = self.project.files
        made = taken_over(files.get(home.path, b""), home, overlay)
        project = replace(self.project, files={**files, home.path: made})
        return replace(self, project=project)


@dataclass(slots=True)
class _Actor:
    """One group of alerts, by what its actor is known by."""

    match: dict[str, str]
    ids: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    times: list[str] = field(default_factory=list)
    example: str = ""


def tune(what: Tuning) -> Proposed:
    """Proposals for every rule of the release that alerts, most alerts first.

    Raises `UsageError` when `only` is in no rule's name.
    """
    release = what.release()
    if what.only:
        refuse_unknown(what.only, release)
    rules, _ = bench(EmbeddedEngine(what.past.tables), release).runnable(release)
    wanted = [rule for rule in rules if what.only.lower() in rule.name.lower()]
    alerting = {rule_id: found.event_ids for rule_id, found in _hits(what, release, wanted).items()}
    loudest = sorted(wanted, key=lambda one: -len(alerting[one.rule_id]))
    sought = (Sought(index_patterns(one.body), alerting[one.rule_id]) for one in loudest)
    tuned: list[Tuned] = []
    so_far = what
    for rule, events in zip(loudest, what.past.events(sought), strict=True):
        ids: Collection[str] = events
        if any(one.source_id == rule.provenance.source_id for one in tuned):
            # Variants of one source share an overlay: what is proposed for one hides of both.
            ids = _again(so_far, rule)[1].event_ids
        alerts = [events[one] for one in ids if one in events]
        if alerts:
            found, so_far = _tuned(so_far, rule, alerts)
            tuned.append(found)
    before = what.project.files
    changed = {p: data for p, data in so_far.project.files.items() if data != before.get(p)}
    return Proposed(tuple(tuned), changed)


def _hits(what: Tuning, release: Release, rules: Sequence[DetectionRule]) -> Mapping[str, Hits]:
    asked = [engine_rule(release, rule) for rule in rules]
    now = bench(EmbeddedEngine(what.past.tables), release).now
    return what.past.engine.run(asked, what.past.source, what.past.window, now)


def _again(what: Tuning, rule: DetectionRule) -> tuple[Release, Hits]:
    """The release with what is proposed by now, and what the rule finds in it."""
    release = what.release()
    (linked,) = [one for one in release.rules if one.rule_id == rule.rule_id]
    return release, _hits(what, release, [linked])[rule.rule_id]


def _tuned(what: Tuning, rule: DetectionRule, events: Sequence[Document]) -> tuple[Tuned, Tuning]:
    """What is proposed for a rule, and the tuning of the rules after it, which has that too."""
    home = home_of(what.project, what.env, rule, what.path or usual_path(what.project, what.env))
    ordered = sorted(events, key=lambda one: (str(value_of(one.source, "@timestamp")), one.id))
    actors = (_proposal(actor, what.anyone) for actor in _actors(rule, ordered, what))
    proposals = _tried(what, home, rule, _named(actors, home))
    plain = Tuned(rule.name, rule.provenance.source_id, len(events), len(events), tuple(proposals))
    kept = [one for one in proposals if not one.refused]
    if not kept:
        return plain, what
    overlay = overlay_text(home, rule, what.env, what.until, kept)
    after = what.with_overlay(home, overlay)
    left, hidden = _counted(after, home, rule)
    counted = tuple(
        one if one.refused else replace(one, events=hidden.get(one.item_id, 0)) for one in proposals
    )
    tuned = replace(plain, left=left, proposals=counted, overlay=overlay, path=home.path)
    return tuned, after


def _counted(after: Tuning, home: Home, rule: DetectionRule) -> tuple[int, dict[str, int]]:
    """What still alerts with the proposals, and how many events each item of the overlay hides."""
    release, hits = _again(after, rule)
    prefix = f"{home.overlay_id}/"
    sources = {item.item_id: item.provenance.source_id for item in release.items}
    hidden: dict[str, set[str]] = {}
    for item_id, ids in hits.suppressed.items():
        if sources[item_id].startswith(prefix):
            hidden.setdefault(sources[item_id].removeprefix(prefix), set()).update(ids)
    return hits.count, {item_id: len(ids) for item_id, ids in hidden.items()}


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


def _named(proposals: Iterable[Proposal], home: Home) -> list[Proposal]:
    """Ids after the program's name; a number tells apart those that share one."""
    taken = set(home.taken)
    named = []
    for one in proposals:
        path = next(iter(one.match.values()))
        stem = PureWindowsPath(path).stem if "\\" in path else PurePosixPath(path).stem
        slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:_LONGEST_ID] or "program"
        item_id = _free(slug, taken)
        taken.add(item_id)
        named.append(replace(one, item_id=item_id))
    return named


def _free(slug: str, taken: Collection[str]) -> str:
    """The slug, with the first number that makes it one's own."""
    numbered = (f"{slug}-{n}" if n > 1 else slug for n in count(1))
    return next(one for one in numbered if one not in taken)


def _tried(
    what: Tuning, home: Home, rule: DetectionRule, proposals: list[Proposal]
) -> list[Proposal]:
    """The proposals, those withdrawn that do not compile or would hide an attack of the library."""
    kept = [one for one in proposals if not one.refused]
    if not kept:
        return proposals
    overlay = overlay_text(home, rule, what.env, what.until, kept)
    try:
        release = what.with_overlay(home, overlay).release()
    except RuledeployError as error:
        if len(proposals) > 1:
            return [one for each in proposals for one in _tried(what, home, rule, [each])]
        # A variant of the rule, which has the same overlay, lacks a field.
        first = error.errors[0] if isinstance(error, Problems) else error
        return [replace(one, refused=first.message) for one in proposals]
    hiding = hidden_attacks(release, EmbeddedEngine(what.past.tables), what.library)
    return [
        replace(one, refused=f"it would hide {', '.join(attacks)}")
        if not one.refused and (attacks := hiding.get(f"{home.overlay_id}/{one.item_id}"))
        else one
        for one in proposals
    ]
