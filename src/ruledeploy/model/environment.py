"""One target: where it is, how to reach it, and what differs there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Secret:
    """A value that never shows itself: `str`, `repr` and format give `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        """Hide the value wherever it might be printed."""
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Compare by value, so that frozen environments compare."""
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        """Hash by value, in step with `__eq__`."""
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class ExceptionPolicy:
    """What every allowlist item of an environment must state (`[env.X.policy.exceptions]`)."""

    require: tuple[str, ...] = ("owner", "reason")
    max_days: int | None = None
    warn_days: int = 14


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector of an environment's space (`[env.X.connectors.NAME]`), for rules' `actions`.

    `id` and `type` (`.slack`) are Kibana's; `params` is what the action says, `group` when.
    """

    id: str
    type: str
    group: str = "default"
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Environment:
    """One `[env.NAME]`, defaults merged in, variables filled in.

    `indices` maps a Sigma logsource (`product/category`, `product/service`, with `@variant`) to
    index patterns, `placeholders` the name in a rule's `%name%` to its values. `kibana_url` is
    `embedded:` for the local stack. `proxy` may hold credentials, so it is a secret. `tables` are
    field tables that were pulled from the server, by family, as JSON.
    """

    name: str
    kibana_url: str = "embedded:"
    elasticsearch_url: str | None = None
    space: str = "default"
    api_key: Secret | None = None
    username: str | None = None
    password: Secret | None = None
    ca_certs: str | None = None
    ca_fingerprint: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    proxy: Secret | None = None
    verify_certs: bool = True
    overlays: tuple[str, ...] = ()
    language: str = "lucene"
    interval: str = "5m"
    lookback: str = "4m"
    indices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    placeholders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    attack_version: str = "v18"
    confirm: bool = False
    policy: ExceptionPolicy = field(default_factory=ExceptionPolicy)
    connectors: Mapping[str, Connector] = field(default_factory=dict)
    line: int = 0

    @property
    def embedded(self) -> bool:
        """True when the target is the local stack that we start ourselves."""
        return self.kibana_url == "embedded:"
