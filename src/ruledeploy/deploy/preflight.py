"""What must be so before a push is even planned: reachable, the right space, authorised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ruledeploy.errors import AnswerLost, NotAuthorized, NotThere, ServerError
from ruledeploy.kibana import Kibana


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
    warnings = []
    sent = kibana.connection.authorization is not None
    if sent and not privileges.get("is_authenticated", True):
        warnings.append("Kibana says that we are not authenticated for the detection engine")
    if not privileges.get("has_encryption_key", True):
        warnings.append(
            "Kibana has no xpack.encryptedSavedObjects.encryptionKey: rules cannot be enabled"
        )
    return Preflight(version, space, tuple(warnings))


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
