"""The synthetic hosts and who runs on them: the same seed gives the same fleet and pids."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from ruledeploy.telemetry.programs import program_at
from ruledeploy.telemetry.seeds import derived

HostKind = Literal["workstation", "developer", "server"]

HOST_KINDS: tuple[HostKind, ...] = ("workstation", "developer", "server")

# Every eighth host is a server, every fourth a developer's: small offices look like this.
_PATTERN: tuple[HostKind, ...] = (
    "workstation",
    "developer",
    "workstation",
    "server",
    "workstation",
    "developer",
    "workstation",
    "workstation",
)
_NAMES = (
    *("amara", "bjorn", "chen", "dalia", "emeka", "farid", "greta", "hana"),
    *("ivo", "jonas", "kavya", "leila", "mateo", "noor", "olga", "pilar"),
)
_PREFIX = {"workstation": "WS", "developer": "DEV", "server": "SRV"}
_CLIENT = ("Windows 11 Enterprise", "23H2", "10.0.22631.4460")
_SERVER = ("Windows Server 2022 Standard", "21H2", "10.0.20348.2849")


@dataclass(frozen=True, slots=True)
class User:
    """An account as events name it."""

    name: str
    domain: str
    sid: str


SYSTEM = User("SYSTEM", "NT AUTHORITY", "S-1-5-18")


@dataclass(frozen=True, slots=True)
class Host:
    """A machine: its identity, its operating system (name, release, build) and its user."""

    kind: HostKind
    name: str
    host_id: str
    agent_id: str
    ip: str
    mac: str
    user: User
    os: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Actor:
    """One running process on one host, as Defend (`entity_id`) and Sysmon (`guid`) know it."""

    pid: int
    entity_id: str
    guid: str
    thread_id: int


def fleet(seed: int, count: int) -> tuple[Host, ...]:
    """The first `count` hosts of a seed; a larger fleet begins with the smaller one."""
    return tuple(_host(seed, number) for number in range(count))


def actor(scope: str, host: Host, executable: str) -> Actor:
    """The process that runs `executable` within `scope` (a scenario instance, say).

    System services exist once per host, so scenarios share them.
    """
    program = program_at(executable)
    shared = program is not None and program.session == "system"
    return _actor(host.host_id, "" if shared else scope, executable.lower())


@cache
def _actor(host_id: str, scope: str, executable: str) -> Actor:
    raw = derived("actor", host_id, scope, executable)
    text = raw.hex()
    guid = f"{{{host_id[:8]}-{text[:4]}-{text[4:8]}-{text[8:12]}-{text[12:24]}}}".upper()
    return Actor(
        pid=4 * (200 + int.from_bytes(raw[:2]) % 5000),
        entity_id=base64.b64encode(raw[:24]).decode(),
        guid=guid,
        thread_id=4 * (200 + int.from_bytes(raw[2:4]) % 7000),
    )


def _host(seed: int, number: int) -> Host:
    raw = derived("host", seed, number)
    text = raw.hex()
    kind = _PATTERN[number % len(_PATTERN)]
    rid = 1100 + number
    name = _NAMES[number % len(_NAMES)] + (str(number) if number >= len(_NAMES) else "")
    return Host(
        kind=kind,
        name=f"{_PREFIX[kind]}-{1000 + number:04d}",
        host_id=_uuid(text),
        agent_id=_uuid(text[32:]),
        ip=f"10.20.{raw[0]}.{1 + raw[1] % 254}",
        mac="00-50-56-" + "-".join(text[i : i + 2].upper() for i in (10, 12, 14)),
        user=User(name, "EXAMPLE", f"S-1-5-21-1004336348-1177238915-682003330-{rid}"),
        os=_SERVER if kind == "server" else _CLIENT,
    )


def _uuid(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"


def user_of(host: Host, executable: str) -> User:
    """Whose session a program runs in."""
    program = program_at(executable)
    return SYSTEM if program is not None and program.session == "system" else host.user


def host_fields(host: Host) -> dict[str, Any]:
    """`host.*` as Elastic Defend writes it, dotted."""
    full, release, build = host.os
    kernel = f"{release} ({build})"
    return {
        "host.architecture": "x86_64",
        "host.hostname": host.name,
        "host.id": host.host_id,
        "host.ip": [host.ip, "127.0.0.1", "::1"],
        "host.mac": [host.mac],
        "host.name": host.name,
        "host.os.Ext.variant": full,
        "host.os.family": "windows",
        "host.os.full": f"{full} {kernel}",
        "host.os.kernel": kernel,
        "host.os.name": "Windows",
        "host.os.platform": "windows",
        "host.os.type": "windows",
        "host.os.version": kernel,
    }
