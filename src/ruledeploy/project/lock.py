"""`ruledeploy.lock/<env>.json`: what a server has told, committed, so that compiling asks nobody.

`fields pull` writes it: `{schema, env, version, families: {family: field table}}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ruledeploy.errors import ConfigError, Location
from ruledeploy.fields import FAMILIES, parse_table
from ruledeploy.project.files import LOCKS, Files

SCHEMA = 1


def lock_path(env: str) -> str:
    """Where an environment's lock is, below the content repository."""
    return f"{LOCKS}/{env}.json"


def locked_tables(files: Files, env: str) -> dict[str, str]:
    """The pulled field tables of an environment as JSON texts, by family; none without a lock.

    Raises `ConfigError` for a lock that is no lock.
    """
    path = lock_path(env)
    if path not in files:
        return {}
    try:
        lock: Any = json.loads(files[path])
        if lock["schema"] != SCHEMA:
            raise _unreadable(path, f"its schema is {lock['schema']!r}, not {SCHEMA}")
        tables = {str(family): table for family, table in lock["families"].items()}
        for family, table in tables.items():
            if family not in FAMILIES or parse_table(table).family != family:
                raise _unreadable(path, f"{family!r} is no family of ours")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    return {family: _text(table) for family, table in sorted(tables.items())}


def lock_text(env: str, version: str, families: Mapping[str, Any]) -> str:
    """The file's text: sorted, so that a second pull of the same mappings changes nothing."""
    lock = {"schema": SCHEMA, "env": env, "version": version, "families": families}
    return json.dumps(lock, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _text(table: Any) -> str:
    return json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _unreadable(path: str, why: str) -> ConfigError:
    hint = "write it anew with  ruledeploy fields pull"
    return ConfigError(f"not a lock: {why}", location=Location(path, 1), hint=hint)
