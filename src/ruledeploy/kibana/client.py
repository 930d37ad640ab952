"""Kibana's endpoints as plain functions of JSON: rules, exception lists, items, surroundings.

Bodies go out and come back as Kibana spells them.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote

from ruledeploy.errors import NotThere, ServerError
from ruledeploy.kibana.connection import Connection
from ruledeploy.kibana.http import Peer
from ruledeploy.kibana.requests import (
    ITEMS,
    LISTS,
    RULES,
    VALUE_LISTS,
    VALUES,
    Endpoint,
    Request,
)
from ruledeploy.model import JsonObject

API_VERSION = "2023-10-31"
# Kibana refuses page * per_page beyond this, for rules, lists and items alike.
WINDOW = 10_000
# Alerting's answers carry each rule whole.
ALERTING_PAGE = 500
# Kibana's HTTP server takes 16 KB of request line and headers; proxies often 8 KB.
MAX_LIST_IDS_LENGTH = 3_500


@dataclass(frozen=True, slots=True)
class Found:
    """What `_find` gave: the objects, and how many there are in all."""

    objects: tuple[JsonObject, ...]
    total: int

    @property
    def complete(self) -> bool:
        """True when nothing lies beyond the window."""
        return self.total <= len(self.objects)


class Kibana:
    """One Kibana space. Stateless but for pooled connections; safe to use from threads."""

    def __init__(
        self, connection: Connection, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.connection = connection
        self._peer = Peer(
            connection,
            headers={"kbn-xsrf": "ruledeploy", "elastic-api-version": API_VERSION},
            sleep=sleep,
        )
        default = connection.space in {"", "default"}
        self._prefix = "" if default else f"/s/{quote(connection.space, safe='')}"
        self.rules = Rules(self, RULES)
        self.lists = ExceptionLists(self, LISTS)
        self.items = ExceptionItems(self, ITEMS)
        self.value_lists = ValueLists(self, VALUE_LISTS)

    def close(self) -> None:
        """Close the pooled connections."""
        self._peer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: Request) -> Any:
        """The parsed answer of one request inside the space; see `Peer.request` for the errors."""
        body: object = request.body
        headers = {}
        if request.upload is not None:
            body, headers["content-type"] = _form(request.upload)
        return self._peer.request(
            request.method,
            self._prefix + request.path,
            query=request.query,
            body=body,
            headers=headers,
        )

    def status(self) -> JsonObject:
        """`/api/status`: `version.number` is there only for a caller who is authenticated."""
        return _object(self._peer.request("GET", "/api/status"))

    def space(self) -> JsonObject:
        """The space's own object; `NotThere` when no such space exists.

        Kibana itself does not refuse API calls to a space that does not exist: objects would
        land where nobody sees them.
        """
        space = quote(self.connection.space or "default", safe="")
        return _object(self._peer.request("GET", f"/api/spaces/space/{space}"))

    def privileges(self) -> JsonObject:
        """Elasticsearch's has_privileges answer, `is_authenticated`, `has_encryption_key`."""
        return _object(self.send(Request("GET", "/api/detection_engine/privileges")))

    def date(self) -> datetime | None:
        """Kibana's clock, to the second; None when its answers carry no date."""
        return self._peer.date("/api/status")

    def me(self) -> JsonObject:
        """The user behind the credentials; Kibana's internal route, so it may be missing."""
        headers = {"x-elastic-internal-origin": "ruledeploy", "elastic-api-version": "1"}
        return _object(self._peer.request("GET", "/internal/security/me", headers=headers))

    def features(self) -> Sequence[JsonObject]:
        """The features that roles are made of, each with its `id`."""
        answer = self._peer.request("GET", "/api/features")
        return [_object(one) for one in answer] if isinstance(answer, list) else []

    def key_owners(self) -> dict[str, JsonObject]:
        """Whose API key runs each rule of the space, by the rule's saved-object id.

        Alerting's own view: `api_key_owner`, and `api_key_created_by_user`, true when the key is
        the one that some request was sent with.
        """
        found: dict[str, JsonObject] = {}
        page = 1
        while True:
            query: dict[str, str | int | bool] = {"page": page, "per_page": ALERTING_PAGE}
            answer = _found(self.send(Request("GET", "/api/alerting/rules/_find", query)))
            found.update({str(one.get("id")): one for one in answer.objects})
            if not answer.objects or len(found) >= answer.total:
                return found
            page += 1

    def connectors(self) -> frozenset[str]:
        """The ids of the space's connectors, those of Kibana's own configuration included."""
        answer = self.send(Request("GET", "/api/actions/connectors"))
        return frozenset(str(one.get("id")) for one in map(_object, answer))

    def licence(self) -> str:
        """The licence's type: `basic`, `platinum`, `enterprise`, `trial` …."""
        answer = self._peer.request("GET", "/api/licensing/info")
        return str(_object(answer["license"])["type"])

    def update_api_key(self, uuid: str) -> None:
        """Make the rule with this saved-object id run as the caller from now on."""
        path = f"/api/alerting/rule/{quote(uuid, safe='')}/_update_api_key"
        self.send(Request("POST", path))


class Objects:
    """Reading, creating, replacing and deleting one kind of object by its stable id."""

    def __init__(self, kibana: Kibana, endpoint: Endpoint) -> None:
        self._send = kibana.send
        self._endpoint = endpoint

    def get(self, id_: str) -> JsonObject:
        """The object; `NotThere` when there is none."""
        return _object(self._send(self._endpoint.get(id_)))

    def create(self, body: JsonObject) -> JsonObject:
        """The object created; `AlreadyThere` when the id is taken."""
        return _object(self._send(self._endpoint.create(body)))

    def update(self, body: JsonObject) -> JsonObject:
        """The object replaced; `NotThere` when there is none."""
        return _object(self._send(self._endpoint.update(body)))

    def delete(self, id_: str) -> None:
        """Delete; `NotThere` when there is none."""
        self._send(self._endpoint.delete(id_))

    def _with(self, found: Found, ids: Iterable[str]) -> Found:
        """What was found, and of these ids those that lie beyond the window, asked for singly."""
        if found.complete:
            return found
        seen = {str(one.get(self._endpoint.id_field)) for one in found.objects}
        others = []
        for id_ in sorted(set(ids) - seen):
            with suppress(NotThere):
                others.append(self.get(id_))
        return Found((*found.objects, *others), found.total)


class Rules(Objects):
    """`/api/detection_engine/rules`. A PUT resets what its body omits, but `enabled`, `version`.

    Two creates of one `rule_id` that race may both succeed: Kibana has no lock there.
    """

    def find(self, kql: str | None = None, *, ids: Iterable[str] = ()) -> Found:
        """Rules in one request of the whole window, and surely those with these ids.

        Duplicates of a `rule_id` inside the window are all visible.
        """
        extra = {"filter": kql} if kql else {}  # an empty filter is a 400
        found = _found(self._send(self._endpoint.find(page=1, per_page=WINDOW, **extra)))
        return self._with(found, ids)

    def preview(self, body: JsonObject) -> JsonObject:
        """`previewId`, `logs`, `isAborted` of a rule that is run and not saved.

        The body is one of `create` with `invocationCount` and `timeframeEnd`.
        """
        return _object(
            self._send(Request("POST", "/api/detection_engine/rules/preview", body=body))
        )


class ExceptionLists(Objects):
    """`/api/exception_lists` of this space. Deleting a list deletes its items too."""

    def find(self, *, ids: Iterable[str] = ()) -> Found:
        """All lists of the space, up to the window, and surely those with these ids."""
        found = _found(self._send(self._endpoint.find(page=1, per_page=WINDOW)))
        return self._with(found, ids)


class ExceptionItems(Objects):
    """`/api/exception_lists/items` of this space; item ids are unique across lists.

    A PUT clears what its body omits; comments are append-only; with `_version` in the body it is
    `AlreadyThere` when the item moved since.
    """

    def find(self, list_ids: Sequence[str], *, ids: Iterable[str] = ()) -> tuple[JsonObject, ...]:
        """All items of lists that exist, asked for in as few requests as URL and window allow.

        Of a list with more items than the window, what fits in it, and surely those with these ids.
        """
        pages = [self._find_batch(batch) for batch in batches(list_ids)]
        objects = tuple(one for page in pages for one in page.objects)
        found = Found(objects, sum(page.total for page in pages))
        return self._with(found, ids).objects

    def _find_batch(self, list_ids: Sequence[str]) -> Found:
        request = self._endpoint.find(
            list_id=",".join(list_ids),
            namespace_type=",".join(["single"] * len(list_ids)),
            page=1,
            per_page=WINDOW,
        )
        found = _found(self._send(request))
        if found.complete or len(list_ids) == 1:
            return found
        half = len(list_ids) // 2
        one, other = self._find_batch(list_ids[:half]), self._find_batch(list_ids[half:])
        return Found(one.objects + other.objects, one.total + other.total)


class ValueLists(Objects):
    """`/api/lists`: value lists and their values."""

    def index_exists(self) -> JsonObject:
        """What the data streams are; `NotThere` when the space has never held a value list."""
        return _object(self._send(Request("GET", "/api/lists/index")))

    def create_index(self) -> None:
        """Create the data streams, once per space."""
        self._send(Request("POST", "/api/lists/index"))

    def values(self, list_id: str) -> tuple[JsonObject, ...]:
        """Every value of a list, page by page through Kibana's cursor."""
        found: list[JsonObject] = []
        request = VALUES.find(list_id=list_id, page=1, per_page=WINDOW)
        while True:
            answer = self._send(request)
            found.extend(answer["data"])
            if not answer["data"] or len(found) >= answer["total"]:
                return tuple(found)
            page = int(request.query["page"]) + 1
            request = VALUES.find(
                list_id=list_id, page=page, per_page=WINDOW, cursor=answer["cursor"]
            )


def _form(text: str) -> tuple[bytes, str]:
    """A form with one text file, and its content type; the boundary occurs nowhere in it."""
    boundary = f"ruledeploy-{uuid.uuid4().hex}"
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; filename="values.txt"\r\n'
        "Content-Type: text/plain\r\n\r\n"
    )
    body = f"{head}{text}\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def _object(answer: Any) -> JsonObject:
    """An answer that must be an object. Raises `ServerError`: whoever answers is no Kibana."""
    if not isinstance(answer, Mapping):
        raise _strange(answer)
    return answer


def _found(answer: Any) -> Found:
    """What `_find` answered. Raises `ServerError` as `_object` does."""
    objects, total = _object(answer).get("data"), _object(answer).get("total")
    if not isinstance(objects, list) or not isinstance(total, int):
        raise _strange(answer)
    return Found(tuple(_object(one) for one in objects), total)


def _strange(answer: Any) -> ServerError:
    shape = ", ".join(sorted(map(str, answer))[:5]) if isinstance(answer, Mapping) else "no object"
    return ServerError(
        f"an answer has not the shape of Kibana's (it has: {shape})",
        url="kibana_url",
        hint="is this Kibana's own URL, or something in front of it?",
    )


def batches(list_ids: Sequence[str]) -> Iterator[list[str]]:
    """Runs of ids whose text fits one URL."""
    batch: list[str] = []
    length = 0
    for list_id in list_ids:
        # Each id costs a comma, and a "single," in namespace_type; "," is escaped as %2C.
        cost = len(quote(list_id, safe="")) + len("%2Csingle%2C")
        if batch and length + cost > MAX_LIST_IDS_LENGTH:
            yield batch
            batch, length = [], 0
        batch.append(list_id)
        length += cost
    if batch:
        yield batch
