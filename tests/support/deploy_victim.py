"""Pushes in a process of their own, to be killed or raced: `python -m support.deploy_victim`.

Each line on its standard input is a push as JSON `{url, space, records, release, wait}`. It says
`ready` once its plan is made, pushes when another line comes, and says the exit code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Self

from ruledeploy.deploy import ApplyOptions, apply
from ruledeploy.deploy.documents import FolderDocuments, IndexDocuments
from ruledeploy.deploy.store import Documents
from ruledeploy.errors import RuledeployError
from ruledeploy.kibana import Connection, Kibana, Peer
from ruledeploy.model import Release
from support.deploy_bench import Bench, Log, bench_on


class Pusher:
    """The other process."""

    def __init__(self) -> None:
        tests, source = Path(__file__).parents[1], Path(__file__).parents[2] / "src"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.deploy_victim"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{tests}"},
        )  # fmt: skip

    def prepare(self, bench: Bench, release: Path, wait: float = 0.0) -> None:
        """Make it plan; `go` lets it push."""
        place = bench.kibana.connection
        records = where(bench.store.documents)
        push = {"url": place.url, "space": place.space, "records": records}
        self._say(json.dumps({**push, "release": str(release), "wait": wait}))
        assert self._hear() == "ready"

    def go(self) -> None:
        """Let it push."""
        self._say("go")

    def code(self) -> int:
        """The exit code that the push would have had."""
        return int(self._hear())

    def _say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def _hear(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def where(documents: Documents) -> str:
    """Where records are kept, as text: a folder, or URL, project and environment."""
    if isinstance(documents, FolderDocuments):
        return str(documents.folder)
    assert isinstance(documents, IndexDocuments)
    return f"{documents.place.rpartition('/')[0]} {documents.project} {documents.env}"


def _documents(text: str) -> Documents:
    if " " not in text:
        return FolderDocuments(Path(text), durable=True)
    url, project, env = text.split(" ")
    return IndexDocuments(Peer(Connection.at(url)), project, env)


def push(url: str, space: str, records: str, release: str, wait: float) -> int:
    """Plan, wait for the word, push; the exit code."""
    bench = bench_on(url, Path(), Log(), documents=_documents(records))
    wanted = Release.from_json(json.loads(Path(release).read_text("utf-8")))
    with Kibana(Connection(url, space=space, timeout=10.0)) as kibana:
        bench.kibana = kibana
        plan = bench.plan(wanted, prune=True)
        print("ready", flush=True)  # noqa: T201 - the protocol
        sys.stdin.readline()
        options = ApplyOptions(allow_many=True, wait_for_lock=wait)
        try:
            apply(plan, bench.kibana, bench.store, options=options)
        except RuledeployError as error:
            sys.stderr.write(f"{error}\n")
            return error.exit_code
    return 0


if __name__ == "__main__":
    for line in sys.stdin:
        print(push(**json.loads(line)), flush=True)  # noqa: T201 - the protocol
