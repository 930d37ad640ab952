"""The Kibana side as an ASGI application: routing, order of checks, faults, the request log.

Everything runs on one event loop, so a request is carried out whole before the next begins.
"""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import replace
from email.utils import formatdate

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ruledeploy.stack import connectors, control, spaces, status, valuelists
from ruledeploy.stack.alerts import routes as alerts
from ruledeploy.stack.alerts.schedule import run_enabled
from ruledeploy.stack.asgi import AsgiEndpoint, finish, literal_first, read_call, with_caller
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import Refusal, platform
from ruledeploy.stack.exceptions import filters, items, lists
from ruledeploy.stack.exceptions import imports as exception_imports
from ruledeploy.stack.faults import NONE
from ruledeploy.stack.http import (
    PUBLIC_VERSION,
    Answer,
    Call,
    Endpoint,
    check_headers,
    split_space,
)
from ruledeploy.stack.rules import bulk, export, extras, imports, oldbulk
from ruledeploy.stack.rules import routes as rules

ENDPOINTS: tuple[Endpoint, ...] = (
    *rules.ROUTES,
    *bulk.ROUTES,
    *oldbulk.ROUTES,
    *export.ROUTES,
    *imports.ROUTES,
    *extras.ROUTES,
    *alerts.ROUTES,
    *items.ROUTES,
    *lists.ROUTES,
    *exception_imports.ROUTES,
    *filters.ROUTES,
    *valuelists.ROUTES,
    *connectors.ROUTES,
    *spaces.ROUTES,
    *status.ROUTES,
    *control.ROUTES,
)
_LOG = logging.getLogger(__name__)
_BROKEN = "An internal server error occurred. Check Kibana server logs for details."
_HEADERS = {
    "kbn-name": "ruledeploy-stack",
    "cache-control": "private, no-cache, no-store, must-revalidate",
    "x-content-type-options": "nosniff",
}


class SpacePrefix:
    """Takes `/s/<space>` off the path before routing and keeps it in the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rewrite the path of HTTP requests."""
        if scope["type"] == "http":
            space, path = split_space(scope["path"])
            scope = {**scope, "path": path, "kibana_space": space, "sent_path": scope["path"]}
        await self.app(scope, receive, send)


def create_app(stack: Stack) -> Starlette:
    """Kibana's API over an opened stack."""
    routes = [Route(e.path, _asgi(stack, e), methods=[e.method]) for e in literal_first(ENDPOINTS)]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    app.add_middleware(SpacePrefix)
    app.add_exception_handler(404, _unknown_url)
    app.add_exception_handler(405, _unknown_url)
    return app


async def _unknown_url(request: Request, error: Exception) -> Response:
    del error
    path, query = request.scope.get("sent_path", request.url.path), request.url.query
    if request.method == "GET" and path.endswith("/") and not path.startswith("//"):
        # Kibana's core takes one slash off the end of a URL that nobody serves.
        location = path[:-1] + (f"?{query}" if query else "")
        return _response(Answer(status=302, headers={"location": location}))
    return _response(Answer(platform(404, "Not Found").body, 404))


def _asgi(stack: Stack, endpoint: Endpoint) -> AsgiEndpoint:
    async def serve(request: Request) -> Response:
        try:
            call = await read_call(request)
        except Refusal as refusal:
            return _response(_refused(refusal))
        fault = NONE if endpoint.ours else stack.trouble.before(call)
        await fault.wait()
        answer = fault.answer or _answer(stack, endpoint, replace(call, partial=fault.partial))
        await stack.trouble.cut_if(fault, request.scope)
        finish(stack, call, answer)
        response = _response(answer, "1" if endpoint.internal else PUBLIC_VERSION)
        if stack.due:
            response.background = BackgroundTask(run_enabled, stack)
        return response

    return serve


def _answer(stack: Stack, endpoint: Endpoint, call: Call) -> Answer:
    try:
        return _checked(stack, endpoint, call)
    except Refusal as refusal:
        return _refused(refusal)
    except RecursionError:
        return _refused(platform(400, "Invalid request payload JSON format"))
    except sqlite3.OperationalError as error:
        _LOG.error("%s %s: the store: %s", call.method, call.url, error)
        return Answer(platform(500, f"the local stack's store: {error}").body, 500)
    except Exception:  # noqa: BLE001 - a server answers 500 and goes on
        _LOG.exception("%s %s", call.method, call.url)
        return Answer(platform(500, _BROKEN).body, 500)


def _refused(refusal: Refusal) -> Answer:
    return Answer(refusal.body, refusal.status, refusal.headers)


def _checked(stack: Stack, endpoint: Endpoint, call: Call) -> Answer:
    """Who, then headers, then rights, then the handler in one transaction."""
    if endpoint.access != "open":
        call = with_caller(stack, call)
    check_headers(endpoint, call, stack.server.version)
    if not call.caller.may(endpoint.access):
        raise platform(
            403,
            f"API [{call.method} {call.url}] is unauthorized for user, this action is granted by "
            f"the Kibana privileges [{endpoint.privilege or 'securitySolution'}]",
        )
    if not stack.server.ghost_spaces and not spaces.exists(stack, call.space):
        raise platform(404, "Not Found")
    if call.method == "GET":
        return endpoint.handler(stack, call)
    with stack.store.transaction():
        try:
            return endpoint.handler(stack, call)
        except Refusal as refusal:
            # Kibana takes nothing back: what was written before the refusal stays.
            return _refused(refusal)


def _response(answer: Answer, version: str = PUBLIC_VERSION) -> Response:
    # The machine's time, not the stack's simulated one: clients compare clocks by it.
    fixed = {"date": formatdate(usegmt=True), "elastic-api-version": version}
    headers = {**_HEADERS, **fixed, **answer.headers}
    content = answer.encoded()
    return Response(content, answer.status, headers, None if answer.body is None else answer.media)
