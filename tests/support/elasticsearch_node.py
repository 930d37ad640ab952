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
import shutil
import subprocess
import sys
import time
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
DEGRADATIONS = json.loads((DOCKER / "node" / "degradations.json").read_text())
ASSEMBLED_IMAGE = f"ruledeploy/elasticsearch-node:{DEGRADATIONS['elasticsearch']}"

# A node with a missing class never answers: each request needs an end, and none is sent twice.
REQUEST_TIMEOUT_S = 30
START_TIMEOUT_S = 180

Kind = Literal["url", "image", "assembled-image", "process"]
FreshIndex = Callable[[str], str]
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
    """A running node. `client` gives up after REQUEST_TIMEOUT_S seconds and repeats nothing.

    `assembled` tells whether it lacks the modules that are not on Maven Central, wherever it runs.
    """

    url: str
    kind: Kind
    client: Elasticsearch
    version: str
    assembled: bool


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


def is_current() -> bool:
    """Whether the assembled image is of what docker/node says now."""
    label = '{{index .Config.Labels "ruledeploy.inputs"}}'
    _, made_of = run("docker", "image", "inspect", "--format", label, ASSEMBLED_IMAGE)
    _, inputs = run(sys.executable, str(DOCKER / "node" / "assemble.py"), "--hash")
    return made_of.startswith(inputs)


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
        pulled = elastic_image()
        if only in ("", "image") and has_image(pulled):
            return Choice("image", pulled)
        if only in ("", "assembled-image") and is_current():
            return Choice("assembled-image", ASSEMBLED_IMAGE)
        problem = "no image is there, or only an outdated one (make node-image)"
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


def describe(url: str, kind: Kind, client: Elasticsearch) -> Node:
    """The node behind a client that answers, with what it says of itself."""
    (info,) = client.nodes.info(node_id="_local", metric="plugins")["nodes"].values()
    modules = {module["name"] for module in info["modules"]}
    return Node(url, kind, client, info["version"], assembled="mapper-extras" not in modules)


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


# ---------------------------------------------------------------------------------- degrading


def degraded(
    field: dict[str, Any], types: dict[str, Any], path: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A field's mapping (an index's, at path "") without the types of `types`, and its constants.

    The constants map the dotted names of constant keywords to the value each document must carry.
    """
    out, constants = dict(field), dict[str, Any]()
    if rule := types.get(field.get("type", "")):
        if rule["inject_value"] and "value" in field:
            constants[path] = field["value"]
        out = {key: value for key, value in out.items() if key not in rule["drop"]}
        out = rule["add"] | out | {"type": rule["becomes"]}
    for children in ("properties", "fields"):
        for name, child in field.get(children, {}).items():
            inner = f"{path}.{name}".lstrip(".")
            mapping, found = degraded(child, types, inner)
            out[children] = out[children] | {name: mapping}
            constants |= found
    return out, constants
