"""A secured stack as a process of its own, and the third-party clients that are let loose on it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support import clients
from support.contract import Client
from support.stack_process import API_KEY, StackProcess, stack_process

# For the summary: which clients were lost, and why.
LOST = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def install(pytestconfig: pytest.Config) -> clients.Install:
    """Installs a client; skips the test, or fails it where nothing may be missing, if it cannot."""
    lost = pytestconfig.stash.setdefault(LOST, {})

    def installed(name: str, minimum: clients.Version) -> clients.Client:
        if name not in lost:
            try:
                return clients.install(name, minimum)
            except clients.ClientUnavailable as error:
                lost[name] = str(error)
        if os.environ.get("RULEDEPLOY_REQUIRE_NODE") == "1":
            pytest.fail(f"{name}: {lost[name]}", pytrace=False)
        pytest.skip(f"{name}: {lost[name]}")

    return installed


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackProcess]:
    """One stack for all clients; user `ann` with password `secret`, or an API key."""
    with stack_process(tmp_path_factory.mktemp("stack"), secured=True) as running:
        yield running


@pytest.fixture
def kibana(stack: StackProcess) -> Client:
    """Plain HTTP, to read back what a client did; every answer is held to the contract."""
    return Client(stack.kibana_url, stack.elasticsearch_url, f"ApiKey {API_KEY}")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Says which clients were not tried, and what that needs."""
    for name, reason in config.stash.get(LOST, {}).items():
        terminalreporter.write_line(f"third-party client {name} lost: {reason}")
