"""The event templates that scenarios name, and what makes a template an event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from ruledeploy.errors import ScenarioError
from ruledeploy.telemetry import defend, sysmon
from ruledeploy.telemetry.scene import UTC_HOLE, Fields, Prototype, Scene

# Template name → the family whose field table its `fields` are checked against.
TEMPLATES: dict[str, str] = {
    "defend/write-process-memory": "endpoint-api",
    "defend/api": "endpoint-api",
    "defend/process": "endpoint-process",
    "defend/library": "endpoint-library",
    "sysmon/process-create": "sysmon-integration",
    "sysmon/image-load": "sysmon-integration",
    "sysmon/remote-thread": "sysmon-integration",
    "sysmon/process-access": "sysmon-integration",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def build(template: str, given: Fields, scene: Scene) -> Prototype:
    """The prototype a template makes of a step's fields. Raises `ScenarioError` for its name."""
    match template:
        case "defend/write-process-memory" | "defend/api":
            return defend.api_event(scene, given)
        case "defend/process":
            return defend.process_event(scene, given)
        case "defend/library":
            return defend.library_event(scene, given)
        case "sysmon/process-create":
            return sysmon.process_create(scene, given)
        case "sysmon/image-load":
            return sysmon.image_load(scene, given)
        case "sysmon/remote-thread":
            return sysmon.remote_thread(scene, given)
        case "sysmon/process-access":
            return sysmon.process_access(scene, given)
    known = ", ".join(TEMPLATES)
    raise ScenarioError(f"unknown event template {template!r}", hint=f"known: {known}")


def stamped(
    prototype: Prototype, event_id: str, at: int, ingested: int, sequence: int
) -> dict[str, Any]:
    """The event of a prototype at a moment; what does not change is shared, not copied.

    `at` and `ingested` are milliseconds since 1970 UTC. `sequence` is Defend's counter, or the
    record number of a Windows log.
    """
    body = prototype.body
    when = timestamp(at)
    moment = {"created": when, "id": event_id, "ingested": timestamp(ingested)}
    out: dict[str, Any] = {**body, "@timestamp": when, "message": prototype.message}
    if "winlog" in body:
        out["winlog"] = {**body["winlog"], "record_id": str(sequence)}
        # Sysmon's own text has a space where ISO has a T, and no zone.
        utc = f"{when[:10]} {when[11:-1]}"
        out["message"] = prototype.message.replace(UTC_HOLE, utc)
    else:
        moment["sequence"] = sequence  # type: ignore[assignment]  # one number among the texts
    out["event"] = {**body["event"], **moment}
    return out


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.")


def timestamp(millis: int) -> str:
    """ISO 8601 in UTC with milliseconds, which is all that an Elasticsearch `date` keeps."""
    seconds, rest = divmod(millis, 1000)
    return f"{_second(seconds)}{rest:03d}Z"


def millis_of(moment: datetime) -> int:
    """Milliseconds since 1970 UTC. Raises `ScenarioError` for a time without a zone."""
    if moment.tzinfo is None:
        raise ScenarioError(f"{moment.isoformat()} has no time zone", hint="use UTC")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def short_id(raw: bytes) -> str:
    """Eleven letters and digits of the first eight bytes."""
    number = int.from_bytes(raw[:8])
    out = ""
    for _ in range(11):
        number, digit = divmod(number, 62)
        out += _ALPHABET[digit]
    return out
