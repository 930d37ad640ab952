"""A bad line and a bad server, drawn from a seed: each request may fare differently.

The local stack carries the faults out, asked by a header in each request.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from typing import Any

from ruledeploy.errors import AnswerLost
from ruledeploy.kibana import Connection, Kibana, Peer

# What may become of a request, and how often. `504` and `reset` come before the work, `lost` and
# `hang` after it; `429` and `503` name a time to wait.
_FATES = {
    "429": 0.03, "503": 0.02, "500": 0.003, "504": 0.02, "reset": 0.02, "lost": 0.03,
    "hang=0.5": 0.01, "latency=30": 0.05,
}  # fmt: skip


class Weather:
    """Draws the fate of each request; what is about a `cursed` id never succeeds."""

    def __init__(self, seed: int, cursed: frozenset[str] = frozenset()) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._guard = threading.Lock()
        self._cursed = cursed

    def fate(self, method: str, target: str, body: object) -> str | None:
        """The fault to ask for, or None."""
        about = {body.get(key) for key in ("rule_id", "item_id")} if isinstance(body, dict) else ()
        if method != "GET" and (
            self._cursed & set(about) or any(c in target for c in self._cursed)
        ):
            return "500"
        with self._guard:
            drawn = self._random.random()
        for fate, share in _FATES.items():
            if drawn < share:
                return fate
            drawn -= share
        return None


class FaultyPeer(Peer):
    """A peer whose requests each meet a fate."""

    def __init__(self, connection: Connection, weather: Weather, **options: Any) -> None:
        super().__init__(connection, **options)
        self._weather = weather

    def _send(
        self, method: str, target: str, url: str, body: object, headers: Mapping[str, str] | None
    ) -> tuple[int, Mapping[str, str], Any]:
        fate = self._weather.fate(method, target, body)
        asked = {"x-ruledeploy-fault": fate} if fate else {}
        return super()._send(method, target, url, body, {**(headers or {}), **asked})


class LossyPeer(Peer):
    """A peer on a line that loses requests and answers, whoever is at its other end."""

    def __init__(self, connection: Connection, weather: Weather, **options: Any) -> None:
        super().__init__(connection, **options)
        self._weather = weather

    def _send(
        self, method: str, target: str, url: str, body: object, headers: Mapping[str, str] | None
    ) -> tuple[int, Mapping[str, str], Any]:
        fate = self._weather.fate(method, target, body)
        if fate in {"504", "reset"}:
            raise AnswerLost("lost on its way there", url=url)
        answer = super()._send(method, target, url, body, headers)
        if fate in {"lost", "hang=0.5"}:
            raise AnswerLost("lost on its way back", url=url)
        return answer


class FaultyKibana(Kibana):
    """A client in bad weather."""

    def __init__(self, connection: Connection, weather: Weather) -> None:
        super().__init__(connection)
        self._peer.close()
        headers = {"kbn-xsrf": "ruledeploy", "elastic-api-version": "2023-10-31"}
        self._peer = FaultyPeer(connection, weather, headers=headers, sleep=lambda _: None)
