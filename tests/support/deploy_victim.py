"""A push in a process of its own, to be killed or raced: `python -m support.deploy_victim`.

Arguments: Kibana's URL, the space, where records are kept (a folder, or `URL project`), a file
with the release's JSON. It says `ready` once its plan is made, and pushes when a line comes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ruledeploy.deploy import ApplyOptions, apply
from ruledeploy.deploy.documents import FolderDocuments, IndexDocuments
from ruledeploy.deploy.store import Documents
from ruledeploy.errors import RuledeployError
from ruledeploy.kibana import Connection, Peer
from ruledeploy.model import Release
from support.deploy_bench import Log, bench_on


def start(
    url: str, space: str, records: str, release: Path, wait: float = 0.0
) -> subprocess.Popen[str]:
    """The process, with pipes to its standard streams."""
    tests = str(Path(__file__).parents[1])
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.Popen(
        [sys.executable, "-m", "support.deploy_victim", url, space, records, release, str(wait)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{tests}"},
    )  # fmt: skip


def where(documents: Documents) -> str:
    """The third argument, for the documents of a test."""
    if isinstance(documents, FolderDocuments):
        return str(documents.folder)
    assert isinstance(documents, IndexDocuments)
    project = documents.place.rpartition("/ruledeploy-")[2]
    return f"{documents.place.rpartition('/')[0]} {project} {documents._env}"


def _documents(text: str) -> Documents:
    if " " not in text:
        return FolderDocuments(Path(text), durable=True)
    url, project, env = text.split(" ")
    return IndexDocuments(Peer(Connection.at(url)), project, env)


def main() -> int:
    """Plan, wait for the word, push; the error's exit code, with its text on standard error."""
    url, space, records, path, wait = sys.argv[1:]
    bench = bench_on(url, Path(), Log(), documents=_documents(records))
    bench.kibana = type(bench.kibana)(Connection(url, space=space, timeout=10.0))
    wanted = Release.from_json(json.loads(Path(path).read_text("utf-8")))
    try:
        plan = bench.plan(wanted, prune=True)
        print("ready", flush=True)  # noqa: T201 - a protocol of two lines
        sys.stdin.readline()
        options = ApplyOptions(allow_many=True, wait_for_lock=float(wait))
        apply(plan, bench.kibana, bench.store, options=options)
    except RuledeployError as error:
        sys.stderr.write(str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
