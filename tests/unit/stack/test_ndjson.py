"""The lines of an export."""

from __future__ import annotations

from ruledeploy.stack.ndjson import attachment


def test_an_export_is_written_as_javascript_writes_it() -> None:
    """One value per line, no spaces between, letters as they are, a line end after the last."""
    answer = attachment([{"name": "ä b", "tags": ["x", 1]}, {"a": None}], "e.ndjson")
    assert answer.body == '{"name":"ä b","tags":["x",1]}\n{"a":null}\n'.encode()
    assert answer.headers["content-disposition"] == 'attachment; filename="e.ndjson"'
