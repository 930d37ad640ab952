"""What must be so before a push is even planned: reachable, the right space, authorised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruledeploy.errors import AnswerLost, NotAuthorized, NotThere, ServerError
from ruledeploy.kibana import Kibana
from ruledeploy.model import JsonObject, Release

# The servers whose answers this version was written against.
OLDEST, NEWEST = (8, 19), (9, 5)
# Licences under which a rule may suppress alerts; Kibana refuses the rule, or drops the field.
_SUPPRESSING = frozenset({"platinum", "enterprise", "trial"})


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the server says of itself; `warnings` are sentences about what may go wrong later."""

    version: str
    space: str
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain form `{version, space, warnings}`."""
        return {"version": self.version, "space": self.space, "warnings": list(self.warnings)}


def preflight(kibana: Kibana) -> Preflight:
    """Check status, space and authorisation by reads alone; raises a `ServerError` that says why.

    Kibana does not refuse writes to a space that does not exist, so this does.
    """
    status = _status(kibana)
    told = status.get("version")
    version = str(told.get("number", "")) if isinstance(told, dict) else ""
    url, space = kibana.connection.url, kibana.connection.space or "default"
    if not version:
        raise NotAuthorized(
            f"Kibana answers, but does not accept us (sent: {kibana.connection.credential})",
            url=url,
            status=401,
            hint="set api_key (RULEDEPLOY_API_KEY or KIBANA_API_KEY), or username and password",
        )
    try:
        kibana.space()
    except NotThere as error:
        raise NotThere(
            f"there is no space {space!r}",
            url=url,
            status=404,
            hint="create the space in Kibana, or correct `space` in ruledeploy.toml",
        ) from error
    privileges = kibana.privileges()
    warnings = list(_about_version(version, told if isinstance(told, dict) else {}))
    sent = kibana.connection.authorization is not None
    if sent and not privileges.get("is_authenticated", True):
        warnings.append("Kibana says that we are not authenticated for the detection engine")
    if not privileges.get("has_encryption_key", True):
        warnings.append(
            "Kibana has no xpack.encryptedSavedObjects.encryptionKey: rules cannot be enabled"
        )
    return Preflight(version, space, tuple(warnings))


def _about_version(version: str, told: JsonObject) -> Iterator[str]:
    """Newer servers and serverless ones are warned about, and not refused."""
    if told.get("build_flavor") == "serverless":
        yield "Kibana is serverless, which this version was not written against"
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts > NEWEST:
        newest = ".".join(map(str, NEWEST))
        yield f"Kibana {version} is newer than {newest}, the last that this version knows"
    elif parts < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield f"Kibana {version} is older than {oldest}, the first that this version knows"


def licence_warnings(kibana: Kibana, release: Release) -> tuple[str, ...]:
    """A sentence when rules suppress alerts and the licence does not let them.

    The licence is asked for only when a rule needs one; one that cannot be read is not doubted.
    """
    names = [rule.name for rule in release.rules if rule.body.get("alert_suppression")]
    if not names:
        return ()
    try:
        licence = kibana.licence()
    except ServerError:
        return ()
    if licence in _SUPPRESSING:
        return ()
    shown = ", ".join(names[:3]) + (" …" if len(names) > len(names[:3]) else "")
    return (
        (
            f"{len(names)} rule(s) suppress alerts, which needs a Platinum licence; this server's "
            f"is {licence}: {shown}"
        ),
    )


def _status(kibana: Kibana) -> dict[str, Any]:
    try:
        return dict(kibana.status())
    except AnswerLost as error:
        if error.status is None:
            raise
        raise ServerError(
            f"Kibana is not ready: {error.message}",
            url=kibana.connection.url,
            status=error.status,
            hint="wait until its status is available",
        ) from error
