"""The Elasticsearch side as an ASGI application on a port of its own."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ruledeploy.stack.asgi import AsgiEndpoint, finish, literal_first, read_call, with_caller
from ruledeploy.stack.auth import Access
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import Refusal, elastic
from ruledeploy.stack.es import admin, bulk, docs, eql, esql, later, many, searching, security
from ruledeploy.stack.http import Answer, Call, Endpoint, media_type
from ruledeploy.stack.node import Node

ENDPOINTS: tuple[Endpoint, ...] = (
    *admin.ROUTES,
    *security.ROUTES,
    *bulk.ROUTES,
    *docs.ROUTES,
    *searching.ROUTES,
    *many.ROUTES,
    *later.ROUTES,
    *esql.ROUTES,
    *eql.ROUTES,
)
_LOG = logging.getLogger(__name__)
_COMPATIBLE = "application/vnd.elasticsearch+json"
_MEDIA = {
    *("application/json", "application/x-ndjson"),
    *(_COMPATIBLE, "application/vnd.elasticsearch+x-ndjson"),
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
# Requests that change nothing, though they are no GET: paths as they are sent, still encoded, for
# what looks like one once decoded may be the id of a document.
_READING = {
    "POST": re.compile(
        r"(/(_all|[^/_][^/]*))?/_(search|msearch|count|mget|query|field_caps|pit|async_search"
        r"|eql/search|search/template|search/scroll|msearch/template|query/async)/?"
    ),
    "DELETE": re.compile(r"/_(pit|search/scroll|((async_|eql/)search|query/async)/[^/]+)/?"),
}
# How one request is answered.
Work = Callable[[Call], Awaitable[Answer]]


class PlainSlashes:
    """Takes slashes at the end of a path and doubled ones off it, as Elasticsearch does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rewrite the path of HTTP requests."""
        if scope["type"] == "http":
            plain = re.sub(r"/+", "/", scope["path"]).rstrip("/") or "/"
            scope = {**scope, "path": plain, "sent_path": scope["path"]}
        await self.app(scope, receive, send)


def create_es_app(stack: Stack) -> Starlette:
    """Elasticsearch's API over an opened stack."""
    # With a node behind, only who may do what is told here.
    own = ENDPOINTS if stack.node is None else security.ROUTES
    routes = [
        Route(e.path, _asgi(stack, _answerer(stack, e)), methods=[e.method])
        for e in literal_first(own)
    ]
    if stack.node is not None:
        passing = _asgi(stack, _passer(stack, stack.node))
        routes.append(Route("/{path:path}", passing, methods=list(_METHODS)))
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    app.add_middleware(PlainSlashes)
    app.add_exception_handler(404, _unknown)
    app.add_exception_handler(405, _unknown)
    return app


async def _unknown(request: Request, error: Exception) -> Response:
    call = await read_call(request)
    allowed = getattr(error, "headers", None) or {}
    if "Allow" not in allowed:
        return _response(call, _no_handler(call))
    methods = ", ".join(sorted(set(allowed["Allow"].split(", ")) - {"HEAD"}))
    reason = f"Incorrect HTTP method for uri [{call.url}] and method [{call.method}]"
    body = {"error": f"{reason}, allowed: [{methods}]", "status": 405}
    return _response(call, Answer(body, 405, {"allow": methods}))


def _no_handler(call: Call) -> Answer:
    reason = f"no handler found for uri [{call.url}] and method [{call.method}]"
    return Answer({"error": reason}, 400)


def _asgi(stack: Stack, work: Work) -> AsgiEndpoint:
    async def serve(request: Request) -> Response:
        try:
            call = await read_call(request)
        except Refusal as refusal:
            return JSONResponse(_elastic_body(refusal), refusal.status)
        fault = stack.trouble.before(call)
        await fault.wait()
        answer = fault.answer or await work(replace(call, partial=fault.partial))
        await stack.trouble.cut_if(fault, request.scope)
        finish(stack, call, answer)
        return _response(call, answer)

    return serve


def _answerer(stack: Stack, endpoint: Endpoint) -> Work:
    async def answer(call: Call) -> Answer:
        return _answer(stack, endpoint, call)

    return answer


def _passer(stack: Stack, node: Node) -> Work:
    async def answer(call: Call) -> Answer:
        try:
            _allowed(stack, call, "read" if _reads(call) else "write")
        except Refusal as refusal:
            return Answer(_elastic_body(refusal), refusal.status, refusal.headers)
        if _is_ours(call):
            return _no_handler(call)
        return await asyncio.to_thread(node.pass_on, call)

    return answer


def _reads(call: Call) -> bool:
    if call.method in {"GET", "HEAD"}:
        return True
    pattern = _READING.get(call.method)
    return pattern is not None and pattern.fullmatch(call.target.partition("?")[0]) is not None


def _is_ours(call: Call) -> bool:
    """Whether no node may see it: who may do what is told here, by routes of our own or not at all.

    A node answers with the rights of its URL's user. Steps up a path would be taken on the way.
    """
    steps = [step for step in call.path.split("/") if step not in {"", "."}]
    return steps[:1] == ["_security"] or steps[:2] == ["_xpack", "security"] or ".." in steps


def _allowed(stack: Stack, call: Call, access: Access) -> Call:
    """The call with its sender; refused when they may not."""
    call = with_caller(stack, call)
    if not call.caller.may(access):
        raise elastic(
            403,
            "security_exception",
            f"action is unauthorized for user [{call.caller.name}] with effective roles "
            f"[{call.caller.role}]",
        )
    return call


def _answer(stack: Stack, endpoint: Endpoint, call: Call) -> Answer:
    sent = call.headers.get("content-type", "")
    if call.body and media_type(sent) not in _MEDIA:
        body = {"error": f"Content-Type header [{sent}] is not supported", "status": 406}
        return Answer(body, 406)
    try:
        call = _allowed(stack, call, endpoint.access)
        if endpoint.access == "read":
            return endpoint.handler(stack, call)
        with stack.store.transaction():
            return endpoint.handler(stack, call)
    except Refusal as refusal:
        return Answer(_elastic_body(refusal), refusal.status, refusal.headers)
    except sqlite3.OperationalError as error:
        _LOG.error("%s %s: the store: %s", call.method, call.url, error)
        return Answer(elastic(500, "exception", f"the local stack's store: {error}").body, 500)
    except Exception as error:  # noqa: BLE001 - a server answers 500 and goes on
        _LOG.exception("%s %s", call.method, call.url)
        return Answer(elastic(500, "exception", str(error)).body, 500)


def _elastic_body(refusal: Refusal) -> dict[str, object]:
    """What shared code refuses in Kibana's envelope, in Elasticsearch's."""
    if "message" not in refusal.body:
        return refusal.body
    kind = "parse_exception" if refusal.status == HTTPStatus.BAD_REQUEST else "security_exception"
    return elastic(refusal.status, kind, str(refusal.body["message"])).body


def _response(call: Call, answer: Answer) -> Response:
    media = answer.media
    if media == Answer().media and _COMPATIBLE in call.headers.get("accept", ""):
        media = f"{_COMPATIBLE};compatible-with=8"
    content = b"" if call.method == "HEAD" else answer.encoded()
    headers = {"x-elastic-product": "Elasticsearch", **answer.headers}
    return Response(content, answer.status, headers, media)
