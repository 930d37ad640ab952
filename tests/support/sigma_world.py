"""Rules over every kind of log source, with every modifier: a grid, not a sample."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any, NamedTuple

import yaml


class Logs(NamedTuple):
    """A log source in one family, with fields that hold text, numbers and addresses."""

    family: str
    logsource: str
    texts: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


_PROCESS = ("Image", "CommandLine", "ParentImage", "OriginalFileName", "CurrentDirectory")
_NETWORK = ("Image", "DestinationHostname")
LOGS = (
    Logs("endpoint-process", "windows/process_creation", _PROCESS[:4], ("ProcessId",)),
    Logs("endpoint-library", "windows/image_load", ("Image", "ImageLoaded")),
    Logs("endpoint-file", "windows/file_event", ("Image", "TargetFilename")),
    Logs("endpoint-registry", "windows/registry_set", ("Image", "TargetObject", "Details")),
    Logs(
        "endpoint-network",
        "windows/network_connection",
        _NETWORK[:1],
        ("DestinationPort",),
        ("DestinationIp", "SourceIp"),
    ),
    Logs(
        "endpoint-api",
        "windows",
        ("process.executable", "process.name", "not.mapped", "process.Ext.api.name"),
        ("process.pid", "process.Ext.api.parameters.size"),
    ),
    *(
        Logs(family, f"windows/{category}", texts, numbers, addresses)
        for family in ("sysmon-integration", "winlogbeat")
        for category, texts, numbers, addresses in (
            ("process_creation", _PROCESS, ("ProcessId",), ()),
            ("image_load", ("Image", "ImageLoaded", "Company"), (), ()),
            ("registry_set", ("Image", "TargetObject", "Details"), (), ()),
            ("network_connection", _NETWORK, ("DestinationPort",), ("DestinationIp",)),
            ("create_remote_thread", ("SourceImage", "TargetImage", "StartModule"), (), ()),
            ("process_access", ("SourceImage", "TargetImage", "GrantedAccess"), (), ()),
            ("file_event", ("Image", "TargetFilename"), (), ()),
            ("dns_query", ("Image", "QueryName"), (), ()),
            ("pipe_created", ("Image", "PipeName"), (), ()),
        )
    ),
    Logs("winlogbeat", "windows//security", ("SubjectUserName", "ObjectName"), ("EventID",)),
    Logs("winlogbeat", "windows//system", ("Provider_Name", "ServiceName", "ImagePath")),
    Logs("ecs", "linux/process_creation", ("Image", "CommandLine", "ParentImage")),
    Logs("ecs", "linux//auditd", ("process.name", "not.mapped", "user.name"), ("process.pid",)),
    Logs("ecs", "aws//cloudtrail", ("event.action", "user.name", "cloud.region")),
    Logs("ecs", "/proxy", ("url.original", "user_agent.original"), (), ("source.ip",)),
)

_PATH = r"C:\Windows\System32\SvcHost.exe"
# What the modifiers of a text field are tried with.
TEXTS: tuple[tuple[str, Any], ...] = (
    ("", [_PATH, "cmd.exe", r"\\srv\share"]),
    ("", [r"*\Temp\x?.exe", "a*B", "?:\\*"]),
    ("", [r"lit\*eral", r"what\?", r"*\*mid\?*"]),
    ("", ["É*x", "straße", "ÀÉ", "ǅ"]),
    ("", ["", "AND", ">10", 'q"q', "/x/", "a&b|c", "[z]", "{1}", "~#@<>"]),
    ("|contains", ["\\AppData\\", " -Enc ", "%TEMP%"]),
    ("|contains|all", ["Down", "load", "String("]),
    ("|startswith", ["C:\\Users\\", "\\\\?\\", "http://"]),
    ("|endswith", ["\\PowerShell.exe", ".DLL", "\\"]),
    ("|cased", ["SvcHost.exe", "lower", "UPPER*", r"lit\*eral"]),
    ("|contains|cased", ["Mixed\\Case", "x*Y"]),
    ("|re", [r"^[a-c]+\d{2,3}\.exe$", r"(foo|ba[rz])\\x", r"\w+\s*=\s*\S+"]),
    ("|re|i", [r"(?:ab|CD)x?$", r"^https?://[^/]+/"]),
    ("|windash|contains", [" -nop", " -w hidden"]),
    ("|base64offset|contains", ["IEX", "http"]),
    ("|wide|base64offset|contains", ["iex"]),
    ("|exists", True),
    ("|exists", False),
    ("", None),
    ("|neq", ["a.exe", "b*"]),
)
NUMBERS: tuple[tuple[str, Any], ...] = (("", [4, 4104, 0]), ("|gt", 1024), ("|lte", 80))
ADDRESSES: tuple[tuple[str, Any], ...] = (
    ("|cidr", ["10.0.0.0/8", "fe80::/10"]),
    ("", ["127.0.0.1", "192.168.*", "::1"]),
)
CONDITIONS = ("a", "not a", "a and not b", "a or not b", "not (a or b)", "1 of them", "all of them")


def grid() -> Iterator[tuple[Logs, bytes]]:
    """Every log source with every modifier of its fields, under conditions in turn."""
    conditions = cycle(CONDITIONS)
    for logs in LOGS:
        texts, numbers, addresses = cycle(logs.texts), cycle(logs.numbers), cycle(logs.addresses)
        others = cycle([(next(texts), each) for each in TEXTS if each[1] is not None])
        for modifier, value in TEXTS:
            yield logs, _rule(logs, next(texts), (modifier, value), next(others), next(conditions))
        for fields, kinds in ((numbers, NUMBERS), (addresses, ADDRESSES)):
            for modifier, value in kinds if next(fields, None) else ():
                field = next(fields)
                yield logs, _rule(logs, field, (modifier, value), next(others), next(conditions))


def _rule(
    logs: Logs,
    field: str,
    asked: tuple[str, Any],
    other: tuple[str, tuple[str, Any]],
    condition: str,
) -> bytes:
    names = zip(
        ("product", "category", "service"), [*logs.logsource.split("/"), "", ""][:3], strict=True
    )
    named = {name: value for name, value in names if value}
    detection = {
        "a": {f"{field}{asked[0]}": asked[1]},
        "b": {f"{other[0]}{other[1][0]}": other[1][1]},
        "condition": condition,
    }
    rule = {"title": "T", "logsource": named, "detection": detection}
    return yaml.safe_dump(rule, allow_unicode=True, sort_keys=False).encode()
