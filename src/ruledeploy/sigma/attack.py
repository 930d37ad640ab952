"""MITRE ATT&CK: tags to Kibana's `threat`, from bundled tables and never the network.

The tables (`ruledeploy/data/attack`) are facts of one version each: technique to name and
tactics. Elastic stacks up to 9.4 show v18; from 9.5 on v19, which splits Defense Evasion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from ruledeploy.errors import ConfigError, Location
from ruledeploy.model import Finding, JsonObject, Severity

# Severity, code and message of a finding.
_Said = tuple[Severity, str, str]

VERSIONS = ("v18", "v19")
FRAMEWORK = "MITRE ATT&CK"
_SITE = "https://attack.mitre.org"
_TECHNIQUE = re.compile(r"t\d{4}(\.\d{3})?")
# Objects that ATT&CK tags may name beside techniques: groups, software, campaigns, …
_OTHER = re.compile(r"(g|s|c|m|ds|dc|det|an)\d{4}")
# A tactic that only one version has, by what it became.
_TACTICS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "v18": {"stealth": ("defense-evasion",), "defense-impairment": ("defense-evasion",)},
    "v19": {"defense-evasion": ("stealth", "defense-impairment")},
}


@dataclass(frozen=True, slots=True)
class Technique:
    """One technique of one version: its name, and the tactics it belongs to."""

    name: str
    tactics: tuple[str, ...]
    retired: bool = False


@dataclass(frozen=True, slots=True)
class AttackTable:
    """One version: `tactics` by short name to (id, name), in the order of the matrix."""

    version: str
    tactics: Mapping[str, tuple[str, str]]
    techniques: Mapping[str, Technique]
    successors: Mapping[str, tuple[str, ...]]


@cache
def load_attack(version: str) -> AttackTable:
    """The bundled table of a version. Raises `ConfigError` for one we do not have."""
    if version not in VERSIONS:
        hint = f"known: {', '.join(VERSIONS)}"
        raise ConfigError(f"no ATT&CK table {version!r}", hint=hint)
    raw = _json(f"{version}.json")
    return AttackTable(
        version,
        MappingProxyType({k: (v["id"], v["name"]) for k, v in raw["tactics"].items()}),
        MappingProxyType(
            {
                id_: Technique(v["name"], tuple(v["tactics"]), bool(v.get("retired")))
                for id_, v in raw["techniques"].items()
            }
        ),
        _successors(),
    )


@cache
def _successors() -> Mapping[str, tuple[str, ...]]:
    """What stands for an id that a version lacks: equal names, then our reviewed list.

    Names repeat across ATT&CK's domains (an ICS technique may be named as an enterprise one), so
    successors of the enterprise table, which v18 is, go first and alone.
    """
    crosswalk, reviewed = _json("crosswalk.json"), _json("reviewed.json")["successors"]
    enterprise = _json("v18.json")["techniques"]
    found: dict[str, list[str]] = {id_: list(entry["to"]) for id_, entry in reviewed.items()}
    for direction in ("v18_to_v19", "v19_to_v18"):
        for id_, successors in crosswalk[direction].items():
            known = [each for each in successors if each in enterprise]
            found.setdefault(id_, []).extend(known or successors)
    return MappingProxyType({id_: tuple(dict.fromkeys(each)) for id_, each in found.items()})


def _json(name: str) -> dict[str, Any]:
    text = (files("ruledeploy.data") / "attack" / name).read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def threat(
    tags: Iterable[str], attack_version: str, location: Location
) -> tuple[list[JsonObject], list[Finding]]:
    """Kibana's `threat` for the `attack.*` tags, and what could not be placed.

    Every technique stands under the tagged tactics it truly belongs to in that version; when no
    tagged tactic fits, under all of its own. A tactic without a technique stands alone.
    """
    names = tuple([tag.removeprefix("attack.") for tag in tags if tag.startswith("attack.")])
    entries, said = _placed(names, attack_version)
    findings = [Finding(severity, code, message, location) for severity, code, message in said]
    return list(entries), findings


@lru_cache(maxsize=4096)
def _placed(
    names: tuple[str, ...], attack_version: str
) -> tuple[tuple[JsonObject, ...], tuple[_Said, ...]]:
    """The entries and what there is to say: many rules have the same tags."""
    placing = _Placing(load_attack(attack_version))
    tactics = [found for name in names for found in placing.tactics(name)]
    techniques = [found for name in names for found in placing.techniques(name)]
    return tuple(placing.entries(tactics, techniques)), tuple(placing.said)


class _Placing:
    def __init__(self, table: AttackTable) -> None:
        self.table = table
        self.said: list[_Said] = []

    def tactics(self, name: str) -> tuple[str, ...]:
        """The version's tactics that a tag names; none for a technique."""
        if name in self.table.tactics:
            return (name,)
        renamed = _TACTICS[self.table.version].get(name, ())
        if not renamed and not _TECHNIQUE.fullmatch(name) and not _OTHER.fullmatch(name):
            self._warn("attack-unknown", f"`attack.{name}` is no tactic or technique of ATT&CK")
        return renamed

    def techniques(self, name: str) -> tuple[str, ...]:
        """The version's techniques that a tag names, through the crosswalk when it lacks them."""
        if not _TECHNIQUE.fullmatch(name):
            return ()
        id_ = name.upper()
        found = self.table.techniques.get(id_)
        if found is not None and not found.retired:
            return (id_,)
        successors = tuple(
            each
            for each in self.table.successors.get(id_, ())
            if each in self.table.techniques and not self.table.techniques[each].retired
        )
        if successors:
            became = ", ".join(successors)
            message = f"{id_} is not in ATT&CK {self.table.version}; {became} stands for it"
            self._warn("attack-mapped", message, severity="info")
            return successors
        if found is not None:
            message = f"{id_} is retired in ATT&CK {self.table.version}"
            self._warn("attack-retired", message)
            return (id_,)
        self._warn("attack-unknown", f"{id_} is not in ATT&CK {self.table.version}")
        return ()

    def entries(self, tactics: list[str], techniques: list[str]) -> list[JsonObject]:
        """One entry for each tactic, in the order of the matrix."""
        placed: dict[str, list[str]] = {tactic: [] for tactic in tactics}
        for id_ in dict.fromkeys(techniques):
            own = self.table.techniques[id_].tactics
            for tactic in [each for each in own if each in tactics] or own:
                placed.setdefault(tactic, []).append(id_)
        order = list(self.table.tactics)
        return [self._entry(tactic, placed[tactic]) for tactic in sorted(placed, key=order.index)]

    def _entry(self, tactic: str, ids: list[str]) -> JsonObject:
        id_, name = self.table.tactics[tactic]
        entry: dict[str, Any] = {
            "framework": FRAMEWORK,
            "tactic": {"id": id_, "name": name, "reference": f"{_SITE}/tactics/{id_}/"},
        }
        if ids:
            parents = dict.fromkeys(each.partition(".")[0] for each in ids)
            entry["technique"] = [self._technique(parent, ids) for parent in sorted(parents)]
        return entry

    def _technique(self, parent: str, ids: list[str]) -> JsonObject:
        entry = self._described(parent)
        below = sorted(each for each in ids if each.startswith(f"{parent}."))
        if below:
            entry["subtechnique"] = [self._described(each) for each in below]
        return entry

    def _described(self, id_: str) -> dict[str, Any]:
        known = self.table.techniques.get(id_)
        path = id_.replace(".", "/")
        return {
            "id": id_,
            "name": known.name if known else id_,
            "reference": f"{_SITE}/techniques/{path}/",
        }

    def _warn(self, code: str, message: str, severity: Severity = "warning") -> None:
        self.said.append((severity, code, message))


SEVERITIES = MappingProxyType(
    {
        "informational": ("low", 21),
        "low": ("low", 21),
        "medium": ("medium", 47),
        "high": ("high", 73),
        "critical": ("critical", 99),
    }
)


def severity(level: str | None) -> tuple[str, int]:
    """Kibana's severity and risk score for a Sigma level; a rule without one is medium."""
    return SEVERITIES[level or "medium"]
