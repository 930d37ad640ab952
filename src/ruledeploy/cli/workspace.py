"""Opening a content repository, and the environments in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruledeploy.cli.output import say
from ruledeploy.errors import Collector, ConfigError, Location, UsageError
from ruledeploy.model import Environment
from ruledeploy.project import Project, load_project, read_folder
from ruledeploy.project.files import CONFIG, Expect, files_below, is_yaml, read_files
from ruledeploy.project.settings import Settings, parse_settings

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from ruledeploy.compile import Means
    from ruledeploy.telemetry import Scenario

# What holds for a folder of rules outside any project.
_NO_PROJECT = b'[project]\nname = "rules"\n[env.default]\nkibana_url = "embedded:"\n'
STATE = Path(".ruledeploy")


def open_project(root: Path, expect: Expect = tuple) -> Project:
    """The project in `root`. Raises `ConfigError` or `Problems`.

    `expect` is told where its files are before they are read.
    """
    unread = Collector()
    files = read_folder(root, unread, expect)
    return load_project(files, unread.errors)


def open_settings(root: Path) -> Settings | None:
    """The settings of the project in `root`, if there is one. Raises `ConfigError`."""
    if not (root / CONFIG).is_file():
        return None
    unread = Collector()
    files = read_files({CONFIG: str(root / CONFIG)}, unread)
    unread.raise_if_any()
    return parse_settings(files[CONFIG], CONFIG)


def means(*, no_cache: bool = False) -> Means:
    """How this machine compiles: every processor, and what earlier runs have kept."""
    from ruledeploy.compile import Cache, Crew, Means, available_processes, cache_folder

    cache = None if no_cache else Cache(cache_folder(), tell=say)
    return Means(cache, Crew(available_processes()))


def scenarios(project: Project) -> dict[str, Scenario]:
    """The bundled scenarios and the project's own, which win."""
    from ruledeploy.telemetry import load_scenarios, parse_scenarios

    bundled = load_scenarios()
    return {**bundled, **parse_scenarios(project.scenario_files, bundled)}


def refuse_remote(project: Project, names: Sequence[str], hint: str) -> None:
    """Raise `UsageError` unless all are environments of the local stack.

    Variables count: an environment may have its server from KIBANA_URL alone.
    """
    for name in names:
        if not project.environment(name, os.environ).embedded:
            raise UsageError(f"env.{name} is not the local stack", hint=hint)


@contextmanager
def reachable(
    project: Project, name: str, root: Path, stack: str = "stack"
) -> Iterator[Environment]:
    """An environment whose server answers; `embedded:` becomes a local stack on loopback.

    The stack lives in `.ruledeploy/<stack>/` and ends with the block, unless `ruledeploy stack up`
    already serves that folder.
    """
    env = project.environment(name, os.environ)
    if not env.embedded:
        yield env
        return
    from ruledeploy.cli.embedded import embedded_stack

    with embedded_stack(root / STATE / stack, spaces=(env.space,)) as running:
        yield replace(
            env, kibana_url=running.kibana_url, elasticsearch_url=running.elasticsearch_url
        )


@contextmanager
def elasticsearch_client(env: Environment) -> Iterator[Elasticsearch]:
    """A client for the environment's Elasticsearch; what it raises in the block is a `ServerError`.

    Raises `ConfigError` when the environment has none, or settings that make no client.
    """
    from elasticsearch import Elasticsearch

    from ruledeploy.engine.client import client_errors

    place = Location("ruledeploy.toml", env.line)
    if not env.elasticsearch_url:
        raise ConfigError(
            f"env.{env.name} has no elasticsearch_url",
            location=place,
            hint="write elasticsearch_url, or set ELASTICSEARCH_URL",
        )
    options: dict[str, Any] = {"request_timeout": 60}
    if env.api_key:
        options["api_key"] = env.api_key.reveal()
    elif env.username and env.password:
        options["basic_auth"] = (env.username, env.password.reveal())
    if env.elasticsearch_url.startswith("https"):
        options["verify_certs"] = env.verify_certs
        certificates = {
            "ca_certs": env.ca_certs,
            "ssl_assert_fingerprint": env.ca_fingerprint,
            "client_cert": env.client_cert,
            "client_key": env.client_key,
        }
        options |= {name: value for name, value in certificates.items() if value}
    try:
        client = Elasticsearch(env.elasticsearch_url, **options)
    except (ValueError, OSError) as error:
        message = f"env.{env.name}: no client for its Elasticsearch: {error}"
        raise ConfigError(message, location=place) from error
    with client_errors(env.elasticsearch_url), client:
        yield client


def loose_project(paths: Sequence[Path], own: Settings | None, expect: Expect = tuple) -> Project:
    """A project of the rule files at `paths`, with the settings of `own` or the program's.

    Raises `UsageError` for a path that is not there. As to `expect`, see `open_project`.
    """
    found: dict[str, str] = {}
    unread = Collector()
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise UsageError(f"no such file or folder: {path}")
        if path.is_dir():
            above = "" if path == Path() else f"{path.as_posix().rstrip('/')}/"
            found |= {
                f"{above}{below}": place for below, place in sorted(files_below(path, "", unread))
            }
        else:
            found[path.as_posix()] = str(path)
    named = {name: place for name, place in found.items() if is_yaml(name)}
    expect(named.values())
    files = read_files(named, unread)
    settings = own or parse_settings(_NO_PROJECT, "(no ruledeploy.toml)")
    folders = [path.as_posix() for path in paths]
    settings = replace(settings, project={**settings.project, "rules": folders})
    return Project(settings, files, tuple(unread.errors))
