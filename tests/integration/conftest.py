"""One real Elasticsearch for the whole session, from wherever this machine can have one.

In this order, the first that works:

1. `ELASTICSEARCH_URL`: a node that runs already (user and password may stand in the URL);
2. `ELASTICSEARCH_IMAGE`: that image, pulled if it is not there; otherwise Elastic's image of
   docker/compose.yaml, if it was pulled before (a test run downloads no gigabyte unasked);
3. the image that `make node-image` assembled;
4. the assembled node as a process (docker/node; needs Java 17, and Maven the first time).

What the environment names must work: nothing else is tried in its place. `RULEDEPLOY_NODE_KIND`
narrows the choice to one kind, for the tests of this file. Where no node can be had the tests are
skipped with the reason; with `RULEDEPLOY_REQUIRE_NODE=1`, as in CI, they fail.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from elasticsearch import ApiError, Elasticsearch
from elasticsearch import ConnectionError as NotConnected
from elasticsearch import ConnectionTimeout as NoAnswer

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
ASSEMBLED_IMAGE = "ruledeploy/elasticsearch-node:8.19.21"

# A node with a missing class never answers: each request needs an end, and none is sent twice.
REQUEST_TIMEOUT_S = 30
START_TIMEOUT_S = 180

Kind = Literal["url", "image", "assembled-image", "process"]
Degrade = Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, Any]]]


class NodeUnavailable(Exception):
    """No node can be had here; the message says why and what would help."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the node comes from: `source` is a URL, an image's name or an assembled directory."""

    kind: Kind
    source: str


@dataclass(frozen=True, slots=True)
class Node:
    """A running node. `client` gives up after REQUEST_TIMEOUT_S seconds and repeats nothing."""

    url: str
    kind: Kind
    client: Elasticsearch

    @property
    def assembled(self) -> bool:
        """Whether it lacks the modules that are not on Maven Central."""
        return self.kind in ("assembled-image", "process")


# ---------------------------------------------------------------------------------- choosing


def run(*command: str, timeout: float = 30) -> tuple[bool, str]:
    """Whether a program ended well, and what it printed; an absent or slow one did not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def compose_command() -> str | None:
    """Compose v2 or docker-compose 1.x, whichever is there."""
    for command in ("docker compose", "docker-compose"):
        if run(*command.split(), "version")[0]:
            return command
    return None


def docker_problem() -> str | None:
    """Why no container can be started here, or None."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    if not run("docker", "version", timeout=10)[0]:
        return "no Docker engine answers (scripts/docker-engine starts one)"
    if compose_command() is None:
        return "neither 'docker compose' nor 'docker-compose' works"
    return None


def has_image(image: str) -> bool:
    """Whether the engine has the image."""
    return run("docker", "image", "inspect", image)[0]


def elastic_image() -> str:
    """Elastic's own image, of the version that docker/.env names for docker/compose.yaml."""
    version = re.search(r"^STACK_VERSION=(\S+)", (DOCKER / ".env").read_text(), re.MULTILINE)
    return f"elasticsearch:{version[1] if version else 'unknown'}"


def named_image(image: str) -> Choice:
    """The image that the environment names; raises NodeUnavailable if it cannot be had."""
    if problem := docker_problem():
        raise NodeUnavailable(f"ELASTICSEARCH_IMAGE is set, but {problem}")
    if not has_image(image):
        pulled, output = run("docker", "pull", "--quiet", image, timeout=600)
        if not pulled:
            raise NodeUnavailable(f"ELASTICSEARCH_IMAGE={image} cannot be pulled: {output}")
    return Choice("assembled-image" if image == ASSEMBLED_IMAGE else "image", image)


def assembled_directory() -> str:
    """The assembled node's directory; raises NodeUnavailable without Java 17 or without Maven."""
    _, output = run("java", "-version")
    version = re.search(r'version "(\d+)', output)
    if version is None or int(version[1]) < 17:
        raise NodeUnavailable("Java 17 or newer is not installed")
    done, output = run(sys.executable, str(DOCKER / "node" / "assemble.py"), timeout=900)
    if not done:
        raise NodeUnavailable(output)
    return output.splitlines()[-1]


def choose() -> Choice:
    """The first node in the order of the module's docstring; raises NodeUnavailable."""
    if url := os.environ.get("ELASTICSEARCH_URL"):
        return Choice("url", url)
    if image := os.environ.get("ELASTICSEARCH_IMAGE"):
        return named_image(image)
    only = os.environ.get("RULEDEPLOY_NODE_KIND", "")
    problem = docker_problem()
    if problem is None:
        candidates = (Choice("image", elastic_image()), Choice("assembled-image", ASSEMBLED_IMAGE))
        for choice in candidates:
            if only in ("", choice.kind) and has_image(choice.source):
                return choice
        problem = "no image is there (make node-image)"
    if only not in ("", "process"):
        raise NodeUnavailable(f"RULEDEPLOY_NODE_KIND={only}: {problem}")
    try:
        return Choice("process", assembled_directory())
    except NodeUnavailable as error:
        raise NodeUnavailable(f"in a container: {problem}; as a process: {error}") from None


# ---------------------------------------------------------------------------------- starting


def connect(url: str) -> Elasticsearch:
    """A client that repeats nothing by itself: a test must see what its one request did."""
    return Elasticsearch(url, request_timeout=REQUEST_TIMEOUT_S, max_retries=0)


def answers(client: Elasticsearch) -> bool:
    """Whether the node is ready. `GET /` is no probe: the assembled node lacks its module."""
    try:
        health = client.options(request_timeout=10).cluster.health(
            wait_for_status="yellow", timeout="5s"
        )
    except (NotConnected, NoAnswer, ApiError):
        return False
    return not health["timed_out"]


def wait_until(ready: Callable[[], bool], what: str, log: Callable[[], str]) -> None:
    """Returns once `ready()`; fails after START_TIMEOUT_S seconds with the end of the log."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not start in {START_TIMEOUT_S} s: {log()[-2000:]}")
        time.sleep(0.2)


@contextmanager
def node_process(home: Path, scratch: Path) -> Iterator[str]:
    """Runs the assembled node on a free loopback port, its data under `scratch`; yields its URL."""
    out, ports = scratch / "out.txt", scratch / "logs" / "http.ports"
    settings = ("http.port=0", "transport.port=0", f"path.data={scratch / 'data'}")
    with out.open("w") as log:
        process = subprocess.Popen(
            [home / "bin" / "node", *settings, f"path.logs={ports.parent}"],
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def listens() -> bool:
        if process.poll() is not None:
            pytest.fail(f"the node ended with code {process.returncode}: {out.read_text()[-2000:]}")
        return ports.is_file()

    try:
        wait_until(listens, "the assembled node", out.read_text)
        yield f"http://{ports.read_text().splitlines()[0]}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# ---------------------------------------------------------------------------------- fixtures


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
        version = next(iter(client.nodes.info(metric="os")["nodes"].values()))["version"]
        source = "" if node_choice.kind == "url" else f" {node_choice.source}"
        stash[REPORT] = f"{version}, {node_choice.kind}{source}, {stash[COUNT]} tests"
        yield Node(node_url, node_choice.kind, client)


@pytest.fixture
def fresh_index(node: Node) -> Iterator[Callable[[str], str]]:
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


@pytest.fixture
def degrade(node: Node) -> Degrade:
    """`degrade(mappings)` gives mappings that the node accepts, and the values to inject.

    On the assembled node the types of docker/node/degradations.json are replaced; the second value
    maps the dotted field names of constant keywords to what each document must then carry. On any
    other node nothing changes.
    """
    types = json.loads((DOCKER / "node" / "degradations.json").read_text())["types"]
    return lambda mappings: _degraded(mappings, types if node.assembled else {}, "")


def _degraded(
    field: dict[str, Any], types: dict[str, Any], path: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The mapping of one field (or of a whole index, at path ""), degraded, and its constants."""
    out, constants = dict(field), dict[str, Any]()
    if rule := types.get(field.get("type", "")):
        if rule["inject_value"] and "value" in field:
            constants[path] = field["value"]
        out = {key: value for key, value in out.items() if key not in rule["drop"]}
        out = rule["add"] | out | {"type": rule["becomes"]}
    for children in ("properties", "fields"):
        for name, child in field.get(children, {}).items():
            inner = f"{path}.{name}".lstrip(".")
            degraded, found = _degraded(child, types, inner)
            out[children] = out.get(children, {}) | {name: degraded}
            constants |= found
    return out, constants


# ---------------------------------------------------------------------------------- reporting

REPORT = pytest.StashKey[str]()
COUNT = pytest.StashKey[int]()


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
