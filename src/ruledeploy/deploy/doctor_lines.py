"""One check of `doctor`, and what every check looks at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from ruledeploy.deploy.store import RecordStore
from ruledeploy.errors import RuledeployError
from ruledeploy.kibana import Connection, Kibana, Peer
from ruledeploy.model import DetectionRule, Environment, JsonObject, Release
from ruledeploy.query.parse import index_patterns

CheckState = Literal["ok", "warning", "error", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, and what to do when it is not well.

    Of the many checks of a `group` (one a rule, one an index pattern) a reader wants the unwell
    ones; a check named like the group sums up the others.
    """

    what: str
    state: CheckState
    said: str
    remedy: str = ""
    group: str = ""

    def to_json(self) -> dict[str, str]:
        """Plain form `{what, state, said, remedy, group}`."""
        return {
            "what": self.what,
            "state": self.state,
            "said": self.said,
            "remedy": self.remedy,
            "group": self.group,
        }


def remark(what: str, error: RuledeployError) -> Check:
    """A check that could not be made."""
    return Check(what, "unknown", error.message, error.hint or "")


@dataclass(slots=True)
class Subject:
    """An environment under examination. What is read once is kept.

    `elasticsearch` and `release` are None when there is no URL, or the files do not compile.
    """

    env: Environment
    kibana: Kibana
    store: RecordStore
    elasticsearch: Peer | None
    release: Release | None
    now: datetime
    _kept: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(
        env: Environment, kibana: Kibana, store: RecordStore, release: Release | None = None
    ) -> Subject:
        """An environment now, with its Elasticsearch when it has one."""
        url = env.elasticsearch_url
        peer = Peer(replace(Connection.of(env, url=url), space="default")) if url else None
        return Subject(env, kibana, store, peer, release, datetime.now(UTC))

    def status(self) -> JsonObject:
        """`/api/status`."""
        if "status" not in self._kept:
            self._kept["status"] = self.kibana.status()
        found: Mapping[str, Any] = self._kept["status"]
        return found

    def rules(self) -> Sequence[JsonObject]:
        """Every rule of the space that Kibana shows."""
        if "rules" not in self._kept:
            self._kept["rules"] = self.kibana.rules.find().objects
        found: Sequence[JsonObject] = self._kept["rules"]
        return found

    def patterns(self) -> tuple[str, ...]:
        """The index patterns of the release's rules, sorted."""
        return all_patterns(self.release.rules) if self.release else ()


def all_patterns(rules: Iterable[DetectionRule]) -> tuple[str, ...]:
    """What the rules search, sorted."""
    return tuple(sorted({index for rule in rules for index in index_patterns(rule.body)}))
