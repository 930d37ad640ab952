"""The JSON Schema of `ruledeploy.toml`, from the tables that its reader uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruledeploy.model import JsonObject
from ruledeploy.project import settings

_KINDS: Mapping[str, JsonObject] = {
    settings.TEXT: {"type": "string"},
    settings.FLAG: {"type": "boolean"},
    settings.NUMBER: {"type": "integer"},
    settings.TEXTS: {"type": "array", "items": {"type": "string"}},
    settings.TABLE: {"type": "object"},
}
_LISTS: JsonObject = {"type": "object", "additionalProperties": _KINDS[settings.TEXTS]}


def settings_schema() -> JsonObject:
    """The whole file: `[project]`, `[defaults]`, `[env.NAME]`."""
    shared: dict[str, JsonObject] = {
        "language": {"enum": list(settings.LANGUAGES)},
        "attack_version": {"enum": list(settings.ATTACK_VERSIONS)},
        "interval": {"type": "string", "pattern": settings.DURATION.pattern},
        "lookback": {"type": "string", "pattern": settings.DURATION.pattern},
        "indices": _LISTS,
        "placeholders": _LISTS,
    }
    require = {"type": "array", "items": {"enum": list(settings.REQUIRABLE)}}
    exceptions = _table(settings.POLICY_EXCEPTIONS, require=require)
    connector = _table(settings.CONNECTOR)
    env = _table(
        settings.ENV,
        **shared,
        space={"type": "string", "pattern": settings.SPACE.pattern},
        policy=_table(settings.POLICY, exceptions=exceptions),
        connectors={"type": "object", "additionalProperties": connector},
    )
    name = {"type": "string", "pattern": settings.NAME.pattern}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ruledeploy.toml",
        "type": "object",
        "required": ["project"],
        "properties": {
            "project": {**_table(settings.PROJECT, name=name), "required": ["name"]},
            "defaults": _table(settings.DEFAULTS, **shared),
            "env": {"type": "object", "additionalProperties": env},
        },
        "additionalProperties": False,
    }


def _table(keys: Mapping[str, str], **narrower: Any) -> JsonObject:
    """A table of known keys; `narrower` says more of some than their kind does."""
    properties = {key: narrower.get(key, _KINDS[kind]) for key, kind in keys.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}
