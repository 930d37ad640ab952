"""What the local stack is told before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from ruledeploy.stack.texts import Zod

Role = Literal["superuser", "writer", "reader"]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in with Basic authentication."""

    name: str
    password: str
    role: Role = "superuser"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key sent as `Authorization: ApiKey base64(id:secret)`; None never expires.

    `indices` are patterns of what rules that run with the key may read.
    """

    id: str
    secret: str
    name: str = "key"
    role: Role = "superuser"
    expires: datetime | None = None
    indices: tuple[str, ...] = ("*",)

    def reads(self, index: str) -> bool:
        """Whether it may read an index, or all that a pattern names."""
        return any(fnmatchcase(index, pattern) for pattern in self.indices)


@dataclass(frozen=True, slots=True)
class Profile:
    """What differs between servers: version, message texts, and doubtful behaviours.

    `zod` chooses the validation texts; `unchanged_count` whether an import skips unchanged rules
    and counts them; `put_no_op` whether a PUT without a change leaves `updated_at` alone;
    `too_large` is the status of an upload over the limit; `old_bulk` whether the routes
    `_bulk_create`, `_bulk_update` and `_bulk_delete` are there; `ghost_spaces` whether API calls
    to a space that does not exist are served; `empty_entries` whether an exception item may have
    no entries.
    """

    version: str
    zod: Zod
    unchanged_count: bool = False
    put_no_op: bool = True
    too_large: Literal[400, 413] = 413
    old_bulk: bool = False
    ghost_spaces: bool = True
    empty_entries: bool = True


PROFILES = {
    "8.19": Profile("8.19.3", "3", put_no_op=False, old_bulk=True),
    "9.5": Profile("9.5.1", "4"),
}
_YES_OR_NO = {"true": True, "false": False}
# What a switch may be set to, by its name in a profile's text.
_SWITCHES: Mapping[str, Mapping[str, Any]] = {
    "zod": {"3": "3", "4": "4"},
    "too_large": {"400": 400, "413": 413},
    "unchanged_count": _YES_OR_NO,
    "put_no_op": _YES_OR_NO,
    "old_bulk": _YES_OR_NO,
    "ghost_spaces": _YES_OR_NO,
    "empty_entries": _YES_OR_NO,
}


def parse_profile(text: str) -> Profile:
    """The profile of a text such as `9.5` or `9.5,too_large=400,put_no_op=false`.

    Raises `ValueError` that names what is known.
    """
    name, *switches = text.split(",")
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}, known: {', '.join(PROFILES)}")
    profile = PROFILES[name]
    for switch in switches:
        key, _, value = switch.partition("=")
        values = _SWITCHES.get(key)
        if values is None:
            raise ValueError(f"unknown switch {key!r}, known: {', '.join(_SWITCHES)}")
        if value not in values:
            raise ValueError(f"{key} is {value!r}, not one of: {', '.join(values)}")
        profile = replace(profile, **{key: values[value]})
    return profile


# What `latency_ms` is keyed by.
CALL_KINDS = ("rules", "exceptions", "lists", "elasticsearch", "other")
_A_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Faults:
    """Trouble to inject, decided by a seed so that a run can be repeated.

    Each rate is a probability per request, 0 to 1. `latency_ms` maps a kind of call
    (`rules`, `exceptions`, `lists`, `elasticsearch`, `other`) to a delay. `lost` closes the
    connection after the write was done, `hang_s` seconds later; `reset` before it. `partial` lets
    every second object of a bulk request fail. `ValueError` for values that are none of these.
    """

    seed: int = 0
    latency_ms: dict[str, float] = field(default_factory=dict)
    too_many: float = 0.0
    server_error: float = 0.0
    reset: float = 0.0
    lost: float = 0.0
    hang_s: float = 0.0
    partial: float = 0.0
    retry_after_s: int = 1

    def __post_init__(self) -> None:
        """Refuse what requests would stumble over later."""
        for name in ("too_many", "server_error", "reset", "lost", "partial"):
            _refuse_beyond(1, name, getattr(self, name))
        _refuse_beyond(_A_DAY_S, "hang_s", self.hang_s)
        _refuse_beyond(_A_DAY_S, "retry_after_s", self.retry_after_s)
        for name, value in (("seed", self.seed), ("retry_after_s", self.retry_after_s)):
            if type(value) is not int:
                raise ValueError(f"{name} is a whole number, not {value!r}")
        given = self.latency_ms if isinstance(self.latency_ms, Mapping) else {}
        if given != self.latency_ms or set(given) - set(CALL_KINDS):
            known = ", ".join(CALL_KINDS)
            raise ValueError(f"latency_ms maps {known} to numbers, not {self.latency_ms!r}")
        for kind, delay in given.items():
            _refuse_beyond(_A_DAY_S * 1000, f"latency_ms.{kind}", delay)


def _refuse_beyond(most: int, name: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= most:
        raise ValueError(f"{name} is a number from 0 to {most}, not {value!r}")


@dataclass(frozen=True, slots=True)
class StackConfig:
    """Where the stack keeps its data and how it answers.

    Ports of 0 are chosen by the system. Without users and keys nobody needs to log in.
    `profile` is one, or its text, which may set switches: see `parse_profile`.
    `scheduler` runs enabled rules by the real clock while no simulated time is set.
    `elasticsearch` is the URL of a node that holds events and alerts in place of the store.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 0
    es_port: int = 0
    profile: str | Profile = "9.5"
    users: tuple[User, ...] = ()
    api_keys: tuple[ApiKey, ...] = ()
    faults: Faults = field(default_factory=Faults)
    request_log: Path | None = None
    scheduler: bool = True
    elasticsearch: str = ""

    @property
    def secured(self) -> bool:
        """Whether a request must say who sends it."""
        return bool(self.users or self.api_keys)

    @property
    def server(self) -> Profile:
        """The server to imitate; `ValueError` for a profile that does not exist."""
        return parse_profile(self.profile) if isinstance(self.profile, str) else self.profile
