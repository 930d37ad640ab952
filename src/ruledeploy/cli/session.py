"""What plan and push have in common: a compiled release, and a server that may take it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ruledeploy.cli.workspace import means, open_project, reachable
from ruledeploy.compile import compile_release
from ruledeploy.deploy import (
    Options,
    Plan,
    RecordStore,
    licence_warnings,
    make_plan,
    open_store,
    preflight,
    read_live,
)
from ruledeploy.errors import Collector, RefusedError
from ruledeploy.kibana import Connection, Kibana
from ruledeploy.model import Environment, Release
from ruledeploy.project import Project


@dataclass(frozen=True, slots=True)
class Server:
    """One environment whose server answers, and its records: nothing has been written yet.

    `local`: the server is the stack of this machine, whose data may well be missing.
    """

    env: Environment
    kibana: Kibana
    store: RecordStore
    warnings: tuple[str, ...]
    local: bool = False

    def key_warnings(self) -> tuple[str, ...]:
        """What is wrong with our API key, where Elasticsearch can tell: rules run with it."""
        if not (self.env.api_key and self.env.elasticsearch_url):
            return ()
        from ruledeploy.deploy.doctor_keys import key_warnings
        from ruledeploy.deploy.doctor_lines import Subject

        return tuple(key_warnings(Subject.of(self.env, self.kibana, self.store)))

    def plan(self, release: Release, options: Options) -> Plan:
        """What brings the server from what it holds now to `release`."""
        applied = self.store.applied()
        live = read_live(self.kibana, release, applied)
        return make_plan(release, live, applied, replace(options, durable=self.store.durable))


@dataclass(frozen=True, slots=True)
class Session:
    """A compiled release, and the server that may take it."""

    release: Release
    server: Server


@contextmanager
def connected(project: Project, name: str, root: Path, stack: str = "stack") -> Iterator[Server]:
    """Reach the server of an environment, for commands that compile nothing."""
    with reachable(project, name, root, stack) as env, Kibana(Connection.of(env)) as kibana:
        said = preflight(kibana)
        store = open_store(project.name, env, root)
        local = project.environment(name, os.environ).embedded
        yield Server(env, kibana, store, (*said.warnings, *_local_records(store)), local)


@contextmanager
def session(root: Path, name: str, day: date, stack: str = "stack") -> Iterator[Session]:
    """Compile, then reach the server; whatever is wrong is raised before anything is written."""
    project = open_project(root)
    release = compile_release(project, project.environment(name), day, means())
    refuse_broken_policy(release)
    with connected(project, name, root, stack) as server:
        warnings = (*server.warnings, *licence_warnings(server.kibana, release))
        yield Session(release, replace(server, warnings=warnings))


def _local_records(store: RecordStore) -> tuple[str, ...]:
    if store.durable:
        return ()
    return (
        f"records are kept in {store.documents.place} alone; set elasticsearch_url to share them",
    )


def refuse_broken_policy(release: Release) -> None:
    """Raise `RefusedError` for every finding that the environment's policy forbids."""
    collector = Collector()
    for finding in release.findings:
        if finding.severity == "error":
            error = RefusedError(finding.message, location=finding.location, hint=finding.hint)
            collector.add(error)
    collector.raise_if_any()


def commit_of(root: Path) -> str | None:
    """The Git commit of the content repository, `+changes` when the work tree differs; or None."""
    try:
        head = _git(root, "rev-parse", "HEAD")
        changes = _git(root, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}+changes" if changes else head


def is_newer(root: Path, than: str) -> bool:
    """Whether HEAD comes after a commit in Git; False when this clone does not know it."""
    held = than.removesuffix("+changes")
    if not re.fullmatch(r"[0-9a-f]{7,64}", held):
        return False
    try:
        if _git(root, "rev-parse", "HEAD") == held:
            return False
        _git(root, "merge-base", "--is-ancestor", held, "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - fixed verbs
    return done.stdout.strip()
