"""A pytest plugin: the local stack as a fixture, for any project that talks to Elastic Security.

Installed with ruledeploy, it needs no import: a test that takes `ruledeploy_stack` gets a running
stack that holds nothing. docs/stack.md has a complete example.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    # The stack loads when the first test wants it; a session without one pays nothing.
    from ruledeploy.stack import Running

# Called after each request, in the server's thread.
Check = Callable[["Request"], None]


@dataclass(frozen=True, slots=True)
class Request:
    """One request that the stack has answered; `body` and `answer` are JSON where they are some."""

    method: str
    url: str
    body: Any
    status: int
    answer: Any


@dataclass(slots=True)
class _Watch:
    """What the server's thread notes of requests, and the check that looks at each."""

    requests: list[Request] = field(default_factory=list)
    check: Check | None = None
    failures: list[BaseException] = field(default_factory=list)

    def see(self, call: Any, answer: Any) -> None:
        """Note one request; a check that fails is kept for the test to raise."""
        if call.path.startswith("/internal/ruledeploy/"):
            return
        request = Request(
            call.method, call.url, _decoded(call.body), answer.status, _decoded(answer.body)
        )
        self.requests.append(request)
        if self.check is not None:
            try:
                self.check(request)
            # What pytest.fail raises is no Exception.
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - raised at the end
                self.failures.append(error)


class LocalStack:
    """A running local stack, as a test uses it.

    `kibana_url` and `elasticsearch_url` are where clients go; `headers` are what a Kibana client
    must send, credentials included when the stack asks for any.
    """

    def __init__(self, running: Running, watch: _Watch, headers: Mapping[str, str]) -> None:
        self.kibana_url = running.kibana_url
        self.elasticsearch_url = running.elasticsearch_url
        self.headers = {"kbn-xsrf": "tests", **headers}
        self._watch = watch

    @property
    def requests(self) -> list[Request]:
        """What was asked of both sides so far, in order; calls for clock and trouble left out."""
        return list(self._watch.requests)

    def check_each_request(self, check: Check) -> None:
        """Call `check` after every request; where it raises, the test fails when it ends."""
        self._watch.check = check

    def kibana(self, method: str, path: str, body: Any = None, *, space: str = "default") -> Any:
        """A request to Kibana's side; the decoded answer. Raises AssertionError for a refusal."""
        prefix = "" if space == "default" else f"/s/{space}"
        return self._send(method, f"{self.kibana_url}{prefix}{path}", body)

    def elasticsearch(self, method: str, path: str, body: Any = None) -> Any:
        """A request to the Elasticsearch side; the decoded answer, AssertionError for a refusal."""
        return self._send(method, f"{self.elasticsearch_url}{path}", body)

    def ingest(self, index: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Store events. Raises AssertionError naming the first that is refused."""
        lines = [line for event in events for line in ({"create": {"_index": index}}, event)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        outcomes = self.elasticsearch("POST", "/_bulk?refresh=true", text.encode())["items"]
        refused = [item["create"]["error"] for item in outcomes if "error" in item["create"]]
        if refused:
            raise AssertionError(refused[0])

    def faults(self, **rates: Any) -> None:
        """Trouble from now on, such as `faults(seed=7, too_many=0.1)`; no argument ends it."""
        self.kibana("POST", "/internal/ruledeploy/faults", rates)

    @property
    def now(self) -> datetime:
        """The stack's time."""
        told = self.kibana("GET", "/internal/ruledeploy/clock")
        return datetime.fromisoformat(told["now"])

    def set_time(self, now: datetime | None) -> None:
        """Stand still at `now` (aware); None returns to the real clock."""
        moment = None if now is None else now.isoformat()
        self.kibana("POST", "/internal/ruledeploy/clock", {"now": moment})

    def advance(self, by: timedelta) -> int:
        """Move the time on, and run every enabled rule each time it is due; the new alerts."""
        moment = (self.now + by).isoformat()
        told = self.kibana("POST", "/internal/ruledeploy/clock", {"now": moment, "run": True})
        return int(told["alerts"])

    def run_rules(self) -> int:
        """Run every rule that is due at the stack's time; the number of new alerts."""
        told = self.kibana("POST", "/internal/ruledeploy/clock", {"run": True})
        return int(told["alerts"])

    def alerts(self, space: str = "default") -> list[dict[str, Any]]:
        """The alerts of a space, up to 10,000, the earliest event first."""
        body = {"size": 10_000, "sort": [{"kibana.alert.original_time": "asc"}]}
        path = "/api/detection_engine/signals/search"
        found = self.kibana("POST", path, body, space=space)
        return [hit["_source"] for hit in found["hits"]["hits"]]

    def reset(self) -> None:
        """Empty the stack: no objects or events, the real time, no trouble, no request seen."""
        self.kibana("POST", "/internal/ruledeploy/reset")
        self._watch.requests.clear()
        self._watch.failures.clear()
        self._watch.check = None

    def _send(self, method: str, url: str, body: Any) -> Any:
        import urllib3  # noqa: PLC0415 - pytest loads this module in every session

        sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        reply = urllib3.request(
            method, url, body=sent, retries=False, timeout=120,
            headers={**self.headers, "content-type": "application/json"},
        )  # fmt: skip
        answer = _decoded(reply.data)
        if reply.status >= HTTPStatus.BAD_REQUEST:
            raise AssertionError(f"{method} {url}: {reply.status} {answer}")
        return answer


@pytest.fixture(scope="session")
def ruledeploy_stack_options() -> dict[str, Any]:
    """Options of the session's stack: fields of `StackConfig`. Override it in a conftest.py."""
    return {}


@pytest.fixture(scope="session")
def _ruledeploy_server(
    ruledeploy_stack_options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalStack, _Watch]]:
    from ruledeploy.stack import running_stack  # noqa: PLC0415 - see above

    watch = _Watch()
    data = tmp_path_factory.mktemp("ruledeploy-stack")
    with running_stack(data, hook=watch.see, **ruledeploy_stack_options) as running:
        yield LocalStack(running, watch, _credentials(ruledeploy_stack_options)), watch


@pytest.fixture
def ruledeploy_stack(_ruledeploy_server: tuple[LocalStack, _Watch]) -> Iterator[LocalStack]:
    """A running local stack that holds nothing; one process-wide stack, emptied for each test."""
    stack, watch = _ruledeploy_server
    stack.reset()
    yield stack
    if watch.failures:
        raise watch.failures[0]


def _credentials(options: Mapping[str, Any]) -> dict[str, str]:
    """The header of the first user or key that may write, if the stack has any."""
    for user in options.get("users", ()):
        if user.role != "reader":
            return {"authorization": f"Basic {_base64(f'{user.name}:{user.password}')}"}
    for key in options.get("api_keys", ()):
        if key.role != "reader":
            return {"authorization": f"ApiKey {_base64(f'{key.id}:{key.secret}')}"}
    return {}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(body: Any) -> Any:
    """A body as JSON where it is some, else as it came."""
    if not isinstance(body, bytes):
        return body
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body
