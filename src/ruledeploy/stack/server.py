"""Starting and stopping: two ports, one process, one event loop, one thread."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ruledeploy.errors import RuledeployError, UsageError
from ruledeploy.stack.alerts.schedule import schedule
from ruledeploy.stack.app import create_app
from ruledeploy.stack.config import StackConfig
from ruledeploy.stack.context import Hook, open_stack
from ruledeploy.stack.es.app import create_es_app
from ruledeploy.stack.faults import Trouble
from ruledeploy.stack.lock import locked

STATE_FILE = "stack.json"
_START_SECONDS = 10.0
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Running:
    """Where a running stack can be reached."""

    kibana_url: str
    elasticsearch_url: str


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever started it, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets=sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        """Wait to be told; uvicorn's own loop would look every 100 ms."""
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening and close what is open; a request is never half done here."""
        del sockets
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install nothing."""
        yield


@contextmanager
def running_stack(
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    es_port: int = 0,
    hook: Hook | None = None,
    **options: Any,
) -> Iterator[Running]:
    """Serve from a background thread of this process for the length of the block.

    `options` are further fields of `StackConfig`. Raises `RefusedError` when another process
    uses the data folder. `hook` is called after each request, in the server's thread.
    """
    config = StackConfig(data=data, host=host, port=port, es_port=es_port, **options)
    with locked(config.data), _sockets(config) as (kibana, elasticsearch):
        loop = _Loop(config, hook, (kibana, elasticsearch))
        thread = threading.Thread(target=loop.run, name="ruledeploy-stack", daemon=True)
        thread.start()
        try:
            loop.wait_ready()
            yield _running(config.host, kibana, elasticsearch)
        finally:
            loop.stop()
            thread.join(_START_SECONDS)


def serve(
    config: StackConfig,
    hook: Hook | None = None,
    on_ready: Callable[[Running], None] | None = None,
) -> None:
    """Serve in the foreground until interrupted; the URLs stand in `stack.json` meanwhile.

    `on_ready` is called once both ports answer.
    """
    with locked(config.data), _sockets(config) as (kibana, elasticsearch):
        running = _running(config.host, kibana, elasticsearch)
        state = config.data / STATE_FILE
        note = {
            "pid": os.getpid(),
            "kibana_url": running.kibana_url,
            "elasticsearch_url": running.elasticsearch_url,
        }
        loop = _Loop(config, hook, (kibana, elasticsearch))

        def ready() -> None:
            _note(state, note)
            if on_ready is not None:
                on_ready(running)

        loop.on_ready = ready
        try:
            loop.run(until_signal=True)
        finally:
            state.unlink(missing_ok=True)


class _Loop:
    """The event loop with both servers; built in any thread, run in one."""

    def __init__(
        self, config: StackConfig, hook: Hook | None, sockets: tuple[socket.socket, socket.socket]
    ) -> None:
        self.config = config
        self.hook = hook
        self.sockets = sockets
        self.ready = threading.Event()
        self.on_ready: Callable[[], None] = lambda: None
        self.failure: BaseException | None = None
        self.servers: tuple[_Server, ...] = ()
        self.asyncio_loop: asyncio.AbstractEventLoop | None = None

    def run(self, *, until_signal: bool = False) -> None:
        """Serve until `stop`, or until SIGINT or SIGTERM."""
        try:
            asyncio.run(self._main(until_signal=until_signal))
        except BaseException as error:
            self.failure = error
            if until_signal:
                raise
        finally:
            self.ready.set()

    def wait_ready(self) -> None:
        """Return once both ports answer; raise what kept them from it."""
        self.ready.wait(_START_SECONDS)
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """Ask both servers to finish; safe from any thread."""
        if self.asyncio_loop is None or self.asyncio_loop.is_closed():
            return
        for server in self.servers:
            self.asyncio_loop.call_soon_threadsafe(server.stopping.set)

    async def _main(self, *, until_signal: bool) -> None:
        stack = open_stack(self.config, self.hook)
        try:
            apps = (create_app(stack), create_es_app(stack))
            self.servers = tuple(_Server(_uvicorn_config(app, stack.trouble)) for app in apps)
            self.asyncio_loop = asyncio.get_running_loop()
            if until_signal:
                for signum in (signal.SIGINT, signal.SIGTERM):
                    self.asyncio_loop.add_signal_handler(signum, self.stop)
            tasks = [
                asyncio.create_task(server.serve(sockets=[bound]))
                for server, bound in zip(self.servers, self.sockets, strict=True)
            ]
            await asyncio.gather(*(server.listening.wait() for server in self.servers))
            self.ready.set()
            self.on_ready()
            scheduler = asyncio.create_task(schedule(stack))
            await asyncio.gather(*tasks)
            scheduler.cancel()
        finally:
            stack.close()


def _uvicorn_config(app: ASGIApp, trouble: Trouble) -> uvicorn.Config:
    class Protocol(H11Protocol):
        """Notes each connection, so that a fault can cut it."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """A client has connected."""
            super().connection_made(transport)
            trouble.transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            """A client has gone."""
            trouble.transports.pop(self.client, None)
            super().connection_lost(exc)

    return uvicorn.Config(
        app, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
        date_header=False, timeout_keep_alive=75, timeout_graceful_shutdown=1,
    )  # fmt: skip


def _note(path: Path, note: dict[str, Any]) -> None:
    path.write_text(json.dumps(note) + "\n", encoding="utf-8")


@contextmanager
def _sockets(config: StackConfig) -> Iterator[tuple[socket.socket, socket.socket]]:
    with _bound(config.host, config.port) as one, _bound(config.host, config.es_port) as other:
        yield one, other


def _bound(host: str, port: int) -> socket.socket:
    if not 0 <= port <= _LAST_PORT:
        raise UsageError(f"{port} is no port", hint=f"0 to {_LAST_PORT}; 0 picks one")
    # asyncio turns Nagle's algorithm off only for sockets that say they are TCP; with it on,
    # each answer would wait 40 ms for the client's acknowledgement.
    bound = socket.socket(proto=socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise RuledeployError(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="choose another port, or 0"
        ) from error
    return bound


def _running(host: str, kibana: socket.socket, elasticsearch: socket.socket) -> Running:
    return Running(
        f"http://{host}:{kibana.getsockname()[1]}",
        f"http://{host}:{elasticsearch.getsockname()[1]}",
    )
