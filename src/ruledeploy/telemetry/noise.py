"""What hosts do all day: thousands of harmless events around the few that matter.

Nothing here is worth an alert: calls within a process, trusted programs that write into
themselves or start their children, images loaded from where they belong, handles opened with few
rights. An alert on noise is therefore a gap in an allowlist that trusts the usual writers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ruledeploy.errors import ScenarioError
from ruledeploy.model import Label
from ruledeploy.telemetry.emitted import Emitted
from ruledeploy.telemetry.fleet import Host
from ruledeploy.telemetry.scene import Prototype, Scene, Shipper
from ruledeploy.telemetry.seeds import derived, random_for
from ruledeploy.telemetry.shapes import build, short_id, stamped

NOISE = "benign/noise"

_SYSTEM32 = "C:\\Windows\\System32\\"
_CHROME = r"C:\Program Files\Google\Chrome\Application\chrome.exe"
_EDGE = r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe"
_WORD = r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE"
_DOTNET = r"C:\Program Files\dotnet\dotnet.exe"
_DEFENDER = r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.26100.8-0\MsMpEng.exe"
_EXE = "process.executable"
_TARGET = "Target.process.executable"
_IMAGE = "winlog.event_data.TargetImage"
_API = "process.Ext.api"
_WRITE = "defend/write-process-memory"


def _protect(executable: str, module: str) -> dict[str, Any]:
    return {
        _EXE: executable,
        f"{_API}.name": "VirtualProtect",
        f"{_API}.summary": f"VirtualProtect( {module}, 0x110, RWX, R-X )",
        f"{_API}.metadata.target_address_name": module,
        f"{_API}.parameters.protection": "RWX",
        f"{_API}.parameters.protection_old": "R-X",
        f"{_API}.parameters.size": 0x110,
    }


def _child(executable: str, child: str) -> dict[str, Any]:
    return {
        _EXE: executable,
        _TARGET: child,
        f"{_API}.behaviors": ["cross-process", "parent-child"],
    }


# (how often, template, fields); the numbers are shares, not counts.
_BACKGROUND: tuple[tuple[int, str, dict[str, Any]], ...] = (
    (2, _WRITE, {_EXE: f"{_SYSTEM32}svchost.exe"}),
    (2, _WRITE, {_EXE: _DEFENDER.lower()}),
    (1, _WRITE, {_EXE: r"\Device\HarddiskVolume3\Windows\explorer.exe"}),
    (2, _WRITE, _child(f"{_SYSTEM32}svchost.exe", f"{_SYSTEM32}RuntimeBroker.exe")),
    (1, _WRITE, _child(r"c:\windows\system32\services.exe", r"c:\windows\system32\spoolsv.exe")),
    (1, _WRITE, _child(r"C:\Windows\explorer.exe", _WORD)),
    (1, _WRITE, _child(f"{_SYSTEM32}csrss.exe", f"{_SYSTEM32}conhost.exe")),
    (6, "defend/api", _protect(_CHROME, "chrome.dll")),
    (4, "defend/api", _protect(_EDGE.lower(), "msedge.dll")),
    (3, "defend/api", _protect(_DOTNET, "clr.dll")),
    (3, "defend/api", _protect(_WORD, "ntdll.dll")),
    (4, "defend/library", {_EXE: _CHROME, "dll.path": f"{_SYSTEM32}dwrite.dll"}),
    (2, "defend/process", {_EXE: f"{_SYSTEM32}conhost.exe"}),
    (1, "sysmon/process-create", {_EXE: f"{_SYSTEM32}cmd.exe"}),
    (6, "sysmon/image-load", {_EXE: _CHROME, "file.path": f"{_SYSTEM32}dbghelp.dll"}),
    (4, "sysmon/image-load", {_EXE: _WORD, "file.path": f"{_SYSTEM32}combase.dll"}),
    (5, "sysmon/process-access", {_EXE: _DEFENDER, _IMAGE: f"{_SYSTEM32}svchost.exe"}),
    (3, "sysmon/process-access", {_EXE: f"{_SYSTEM32}svchost.exe", _IMAGE: _EDGE}),
)
_VARIANTS = 4

MIXED = "mixed"
# How much more, or less, each profile has of events by some programs; what is not named stays.
_PROFILES: Mapping[str, Mapping[str, int]] = {
    MIXED: {},
    "office": {_WORD: 4, _EDGE: 2, _DOTNET: 0},
    "developer": {_DOTNET: 8, _CHROME: 2, _WORD: 0},
    "server": {_CHROME: 0, _EDGE: 0, _WORD: 0, f"{_SYSTEM32}svchost.exe": 6},
}
PROFILES = tuple(_PROFILES)


def deck(
    seed: int, hosts: tuple[Host, ...], shipper: Shipper, profile: str = MIXED
) -> list[Prototype]:
    """Every background event of every host, as often as its share says in the profile.

    Raises `ScenarioError` for a profile we do not have.
    """
    if profile not in _PROFILES:
        hint = f"known: {', '.join(PROFILES)}"
        raise ScenarioError(f"there is no noise profile {profile!r}", hint=hint)
    weights = {path.lower(): weight for path, weight in _PROFILES[profile].items()}
    cards: list[Prototype] = []
    for host in hosts:
        for number, (usual, template, fields) in enumerate(_BACKGROUND):
            share = usual * weights.get(str(fields[_EXE]).lower(), 1)
            rng = random_for("noise", seed, host.name, number)
            scene = Scene(host, f"{seed}/noise", rng, shipper)
            made = [build(template, fields, scene) for _ in range(min(_VARIANTS, share))]
            cards.extend(made[n % len(made)] for n in range(share))
    return cards


def background(
    cards: list[Prototype], seed: int, start: int, duration: int, count: int
) -> Iterator[tuple[int, Emitted]]:
    """Exactly `count` events spread over `duration` milliseconds, in order of time."""
    rng = random_for("noise", seed, start)
    prefix = short_id(derived("noise", seed, start))
    slot = max(1, duration // count) if count else 1
    size = len(cards)
    for number in range(count):
        bits = rng.getrandbits(64)
        card = cards[(bits & 0xFFFF) % size]
        at = start + number * duration // count + ((bits >> 16) & 0xFFFFFF) % slot
        event_id = f"{prefix}{number:08d}"
        event = stamped(card, event_id, at, at + delay(bits >> 40), number + 1)
        yield at, Emitted(card.index, event, Label(event_id, NOISE, "benign"), card)


def delay(bits: int) -> int:
    """Milliseconds from an event to its arrival: seconds, but minutes for one in fifty."""
    if bits % 50 == 0:
        return 120_000 + bits % 720_000
    return 2000 + bits % 23_000
