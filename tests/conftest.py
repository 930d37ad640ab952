"""What all tests share: how much property tests try (the same cases in every CI run), a cache."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from ruledeploy.cli import boundary
from ruledeploy.cli.app import build
from support.exits import watched

settings.register_profile("default", deadline=None)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("long", max_examples=2000, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the commands that tests run away from the developer's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RULEDEPLOY_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _known_exit_codes() -> Iterator[None]:
    """Let no command exit with a code that docs/exit-codes.md does not tell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boundary, "build", watched(build))
        yield
