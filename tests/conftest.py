"""What all tests share: how much property tests try (the same cases in every CI run), a cache."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

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
