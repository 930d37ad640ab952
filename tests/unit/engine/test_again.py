"""Events read again are the events that were read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ruledeploy.engine import Document, Files
from ruledeploy.engine.again import documents_with
from ruledeploy.engine.sources import documents
from ruledeploy.errors import SourceError

LINES = [
    '{"event": {"id": "a"}, "x": 1}',
    '{"event": {"id": ""}, "x": 2}',
    '{"event.id": "b", "x": [3]}',
    '{"event": {"id": 7}}',
    '{"event": null, "event.id": "c"}',
    '{"event": [{"id": "d"}]}',
    '{"event": {"id": "a"}, "x": "the same id again"}',
    '{"_source": {"event": {"id": "e"}}, "_id": "f", "_index": "i"}',
    '{"_source": {"event": {"id": "g"}}, "_id": 8}',
    '{"_source": {"event": {"id": "h"}}, "_id": null}',
    '{"_source": null, "event": {"id": "j"}}',
    '{"data_stream": {"type": "logs", "dataset": "d", "namespace": "n"}}',
    '{"data_stream": null, "event": {"id": "\\u006b"}}',
    "",
    '{"x": NaN, "event": {"id": "l"}}',
]


@pytest.fixture
def source(tmp_path: Path) -> Files:
    """A file of lines, one that is packed, and an array."""
    text = "\n".join(LINES)
    (tmp_path / "a.ndjson").write_text(text)
    (tmp_path / "c.json").write_text(f"[{','.join(filter(None, LINES))}]")
    with gzip.open(tmp_path / "b.ndjson.gz", "wt") as file:
        file.write(text)
    return Files((tmp_path,), "given")


def test_each_id_gives_its_events(source: Files) -> None:
    """However the id is written, and where there is none."""
    every = list(documents(source))
    by_id: dict[str, list[Document]] = {}
    for one in every:
        by_id.setdefault(one.id, []).append(one)
    assert {"a", "b", "c", "f", "8", "h", "k", "l", "a.ndjson:2", "b.ndjson.gz:6"} <= by_id.keys()
    for name, wanted in by_id.items():
        assert list(map(repr, documents_with({name}, source))) == list(map(repr, wanted))
    assert list(map(repr, documents_with(by_id, source))) == list(map(repr, every))
    assert list(documents_with({"z"}, source)) == []


def test_a_broken_line_is_located(source: Files) -> None:
    """It might be the event."""
    with (source.paths[0] / "a.ndjson").open("a") as file:
        file.write("\n{")
    with pytest.raises(SourceError, match=r"a\.ndjson:16: not a JSON line"):
        list(documents_with({"z"}, source))
