"""The session's real Elasticsearch as a fixture, and a line in the summary that says which it was.

How the node is chosen and started: tests/support/elasticsearch_node.py.
"""

from __future__ import annotations

import os
import shlex
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.elasticsearch_node import (
    DEGRADATIONS,
    DOCKER,
    Choice,
    Degrade,
    FreshIndex,
    Node,
    NodeUnavailable,
    answers,
    choose,
    compose_command,
    connect,
    degraded,
    describe,
    node_process,
    wait_until,
)

# For the summary: what became of the node, and how many of the selected tests need it.
REPORT = pytest.StashKey[str]()
COUNT = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def node_choice(pytestconfig: pytest.Config) -> Choice:
    """Which node the session uses; skips, or fails where a node is required, if there is none."""
    try:
        choice = choose()
        if choice.kind == "url":
            with connect(choice.source) as client:
                if not answers(client):
                    raise NodeUnavailable("ELASTICSEARCH_URL is set, but nothing answers there")
    except NodeUnavailable as error:
        pytestconfig.stash[REPORT] = f"none, {pytestconfig.stash[COUNT]} tests lost: {error}"
        if os.environ.get("RULEDEPLOY_REQUIRE_NODE") == "1":
            pytest.fail(f"no Elasticsearch: {error}", pytrace=False)
        pytest.skip(f"no Elasticsearch: {error}")
    return choice


@pytest.fixture(scope="session")
def docker_compose_command(node_choice: Choice) -> str:
    """For pytest-docker, which reads a command line: the image goes in as a variable."""
    image = shlex.quote(f"ELASTICSEARCH_IMAGE={node_choice.source}")
    return f"env {image} {compose_command()}"


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    """For pytest-docker: the test profile."""
    return str(DOCKER / "compose.test.yaml")


@pytest.fixture(scope="session")
def docker_setup() -> str:
    """For pytest-docker: without --wait, which docker-compose 1.x lacks; the node is probed."""
    return "up --detach"


@pytest.fixture(scope="session")
def node_url(
    node_choice: Choice, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of the chosen node, started if need be and ended with the session."""
    match node_choice.kind:
        case "url":
            yield node_choice.source
        case "process":
            scratch = tmp_path_factory.mktemp("elasticsearch")
            with node_process(Path(node_choice.source), scratch) as url:
                yield url
        case "image" | "assembled-image":
            services = request.getfixturevalue("docker_services")
            address = request.getfixturevalue("docker_ip")
            yield f"http://{address}:{services.port_for('elasticsearch', 9200)}"


@pytest.fixture(scope="session")
def node(node_choice: Choice, node_url: str, request: pytest.FixtureRequest) -> Iterator[Node]:
    """The session's Elasticsearch, ready for requests."""
    stash = request.config.stash
    with connect(node_url) as client:
        wait_until(lambda: answers(client), f"Elasticsearch ({node_choice.kind})", str)
        found = describe(node_url, node_choice.kind, client)
        # The URL itself may hold a password.
        source = "from ELASTICSEARCH_URL" if found.kind == "url" else node_choice.source
        stash[REPORT] = f"{found.version}, {found.kind} {source}, {stash[COUNT]} tests"
        yield found


@pytest.fixture
def fresh_index(node: Node) -> Iterator[FreshIndex]:
    """`fresh_index("events")` names an index, data stream or template that only this test has.

    Whatever begins with the test's prefix is deleted afterwards. The assembled node has no API to
    delete a data stream (405), nor then its template (400): they end with the node.
    """
    prefix = f"rd-test-{uuid.uuid4().hex[:12]}"
    yield lambda name: f"{prefix}-{name}"
    indices = node.client.options(ignore_status=(400, 404, 405)).indices
    indices.delete_data_stream(name=f"{prefix}*")
    indices.delete_index_template(name=f"{prefix}*")
    # By their names: a server refuses to delete indices by a pattern.
    for index in indices.get_settings(index=f"{prefix}*", expand_wildcards="all"):
        indices.delete(index=index)


@pytest.fixture(scope="session")
def degrade(node: Node) -> Degrade:
    """`degrade(mappings)` gives mappings that the node accepts, and the values to inject.

    On the assembled node the types of docker/node/degradations.json are replaced; the second value
    maps the dotted field names of constant keywords to what each document must then carry. On any
    other node nothing changes.
    """
    types = DEGRADATIONS["types"] if node.assembled else {}
    return lambda mappings: degraded(mappings, types, "")


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks each test that uses the node, so that `-m "not node"` leaves them out."""
    for item in items:
        if "node" in getattr(item, "fixturenames", ()) and item.path.is_relative_to(
            Path(__file__).parent
        ):
            item.add_marker("node")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Counts the tests that need the node, for the summary."""
    session.config.stash[COUNT] = sum(
        item.get_closest_marker("node") is not None for item in session.items
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Says which node was used, or which tests were lost and why."""
    if report := config.stash.get(REPORT, ""):
        terminalreporter.write_line(f"elasticsearch: {report}")
