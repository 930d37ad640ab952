"""Opening a content repository, and the environments in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ruledeploy.model import Environment
from ruledeploy.project import Project, load_project, read_folder

STATE = Path(".ruledeploy")


def open_project(root: Path) -> Project:
    """The project in `root`. Raises `ConfigError` or `Problems`."""
    return load_project(read_folder(root))


@contextmanager
def reachable(project: Project, name: str, root: Path) -> Iterator[Environment]:
    """An environment whose server answers; `embedded:` becomes a local stack on loopback.

    The stack lives in `.ruledeploy/stack/` and ends with the block, unless `ruledeploy stack up`
    already serves that folder.
    """
    env = project.environment(name, os.environ)
    if not env.embedded:
        yield env
        return
    from ruledeploy.stack import embedded_stack

    with embedded_stack(root / STATE / "stack", spaces=(env.space,)) as running:
        yield replace(
            env, kibana_url=running.kibana_url, elasticsearch_url=running.elasticsearch_url
        )
