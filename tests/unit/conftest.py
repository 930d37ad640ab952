"""Unit tests know no server, whatever the developer's shell names."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else `ELASTICSEARCH_URL`, which node tests take, would get the records of their pushes."""
    for name in os.environ:
        if name.startswith(("KIBANA_", "ELASTIC")):
            monkeypatch.delenv(name)
