"""`ruledeploy fields`."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

from ruledeploy.cli.options import HERE, Env, Json, Root, command_app
from ruledeploy.cli.output import print_json, say, write_file
from ruledeploy.cli.workspace import elasticsearch_client, open_project
from ruledeploy.errors import RuledeployError, UsageError
from ruledeploy.fields import family_of
from ruledeploy.model import Environment

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

app = command_app()


@app.command(short_help="Write an environment's field types into a lock file.")
def pull(*, env: Env, root: Root = HERE, json_: Json = False) -> None:
    """Read the types of fields from an environment's indices into ruledeploy.lock/<env>.json.

    Commit the file: compiling reads it instead of the bundled tables, and asks no server.
    """
    from ruledeploy.deploy.mappings import Pulled, pull_table
    from ruledeploy.project.lock import lock_path, lock_text

    project = open_project(root)
    target = project.environment(env, os.environ)
    if target.embedded and not target.elasticsearch_url:
        message = "the local stack has no mappings of its own: it takes the bundled tables"
        raise UsageError(message, hint="name an environment with an elasticsearch_url")
    with elasticsearch_client(target) as client:
        version = _version(client)
        pulled: dict[str, Pulled] = {
            family: pull_table(client, family, patterns)
            for family, patterns in sorted(_patterns(target).items())
        }
    families = {family: each.table for family, each in pulled.items() if each.table}
    remarks = [remark for each in pulled.values() for remark in each.remarks]
    if not families:
        raise RuledeployError("no index of this environment has any fields", hint=remarks[0])
    path = root / lock_path(env)
    write_file(path, lock_text(env, version, families))
    _report(str(path), families, remarks, json_=json_)


def _version(client: Elasticsearch) -> str:
    """The server's version, for whoever reads the lock; `unknown` where it may not be asked."""
    from elasticsearch import ApiError

    try:
        return str(client.info()["version"]["number"])
    except ApiError:
        return "unknown"


def _patterns(env: Environment) -> dict[str, set[str]]:
    """Every index pattern that rules of the environment may search, by family."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for patterns in env.indices.values():
        for pattern in patterns:
            found[family_of(pattern)].add(pattern)
    return found


def _report(
    path: str, families: dict[str, dict[str, object]], remarks: list[str], *, json_: bool
) -> None:
    counts = {family: len(table["fields"]) for family, table in families.items()}  # type: ignore[arg-type]
    if json_:
        print_json({"schema": 1, "path": path, "families": counts, "remarks": remarks})
        return
    for remark in remarks:
        say(remark)
    for family, count in counts.items():
        say(f"{family}: {count} fields")
    say(f"wrote {path}; commit it")


@app.callback()
def fields() -> None:
    """Read the types of fields from an environment's indices."""
