"""Requests generated from the contract: no answer outside it, no 5xx that Kibana would not give.

`FUZZ_REQUESTS` says how many (2,000 for each profile unless set), `FUZZ_SEED` which.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import urllib3

from ruledeploy.stack import running_stack
from support.contract import check, contract
from support.generated import Request, family, requests

COUNT = int(os.environ.get("FUZZ_REQUESTS", "2000"))
# With fewer requests, which operations succeed is chance.
ENOUGH = 2000
SEED = int(os.environ.get("FUZZ_SEED", "1"))
# What Kibana itself answers with 500, by the start of the message.
KNOWN_500 = (
    "Bulk edit failed", "Bulk edit partially failed", "Unable to add exception to rule",
    "Cannot read properties of undefined", "Can't import more than",
)  # fmt: skip


@pytest.mark.parametrize("profile", ["9.5", "8.19"])
def test_generated_requests_get_answers_of_the_contract(profile: str, tmp_path: Path) -> None:
    """Each failure is told with the request that caused it, ready to be sent by hand."""
    failures, answered = [], Counter[str]()
    with running_stack(tmp_path, profile=profile, scheduler=False) as running:
        pool = urllib3.PoolManager(retries=False)
        ids: dict[str, list[str]] = {}
        for request in itertools.islice(requests(SEED, ids), COUNT):
            complaint, status = _tried(pool, running.kibana_url, request, ids)
            answered[f"{request.operation} {status // 100}xx"] += 1
            if complaint:
                failures.append(f"{request.curl(running.kibana_url)}\n    {complaint}")
    assert not failures, f"seed {SEED}, {len(failures)} of {COUNT}:\n" + "\n".join(failures[:10])
    # A generator whose requests are all refused would prove nothing.
    if COUNT >= ENOUGH:
        fulfilled = {name.rpartition(" ")[0] for name in answered if name.endswith("2xx")}
        assert len(fulfilled) >= 0.8 * len(served(profile)), f"only {sorted(fulfilled)}"
        assert sum(n for name, n in answered.items() if name.endswith("2xx")) >= COUNT / 4


def served(profile: str) -> list[str]:
    """The operations that a server of that profile has."""
    old = ("/_bulk_create", "/_bulk_update", "/_bulk_delete")
    return [o for o in contract()["operations"] if profile == "8.19" or not o.endswith(old)]


def _tried(
    pool: urllib3.PoolManager, url: str, request: Request, ids: dict[str, list[str]]
) -> tuple[str | None, int]:
    try:
        reply = pool.request(
            request.method, f"{url}{request.path}{request.query}",
            body=request.body, headers=request.headers, timeout=30,
        )  # fmt: skip
    except urllib3.exceptions.HTTPError as error:
        return f"no answer: {error}", 0
    media = reply.headers.get("content-type", "")
    try:
        body = json.loads(reply.data) if reply.data and "json;" in media else reply.data
        check(request.method, request.path, reply.status, media, body)
    except Exception as error:  # noqa: BLE001 - whatever is wrong is reported with its request
        return f"{reply.status} {str(error)[:300]} {reply.data[:300]!r}", reply.status
    if reply.status >= 500 and not _known(body):
        return f"{reply.status} {body!r}", reply.status
    if isinstance(body, dict) and isinstance(body.get("id"), str):
        ids.setdefault(family(request.path), []).append(body["id"])
    return None, reply.status


def _known(body: Any) -> bool:
    return isinstance(body, dict) and str(body.get("message", "")).startswith(KNOWN_500)
