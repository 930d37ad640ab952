"""Between Starlette and handlers, for both ports: reading a call, finishing it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from ruledeploy.stack.auth import ANYBODY
from ruledeploy.stack.context import Stack
from ruledeploy.stack.http import Answer, Call, Endpoint, read_body, read_query

AsgiEndpoint = Callable[[Request], Awaitable[Response]]


def literal_first(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Literal paths before those with a name in them, which would swallow them."""
    return sorted(endpoints, key=lambda e: (e.path.startswith("/{"), e.path.count("{")))


async def read_call(request: Request) -> Call:
    """The request as handlers see it, its sender not yet known."""
    scope = request.scope
    headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
    raw_query: bytes = scope["query_string"]
    sent = scope.get("sent_path", scope["path"])
    target = scope.get("raw_path", sent.encode()) + (b"?" + raw_query if raw_query else b"")
    return Call(
        method=request.method,
        path=scope["path"],
        url=f"{sent}?{raw_query.decode('latin-1')}" if raw_query else sent,
        space=scope.get("kibana_space", "default"),
        query=read_query(raw_query),
        headers=headers,
        body=read_body(headers, await request.body()),
        caller=ANYBODY,
        params=dict(request.path_params),
        target=target.decode("latin-1"),
    )


def with_caller(stack: Stack, call: Call) -> Call:
    """The call with its sender; a 401 when the credentials are wrong or missing."""
    return replace(call, caller=stack.auth.caller(call.headers.get("authorization")))


def _name(stack: Stack, call: Call) -> str | None:
    """Who sent a request, for the log; None for strangers."""
    known = stack.auth.known(call.headers.get("authorization"))
    return known.name if known else None


def finish(stack: Stack, call: Call, answer: Answer) -> None:
    """Log the request, then tell whoever watches."""
    if stack.config.request_log is not None:
        line = {
            "at": stack.clock.text(),
            "method": call.method,
            "url": call.url,
            "status": answer.status,
            "user": _name(stack, call),
        }
        with stack.config.request_log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
    if stack.hook is not None:
        stack.hook(call, answer)
