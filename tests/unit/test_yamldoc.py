"""YAML keeps its positions, and hostile YAML is refused in bounded time and memory."""

from __future__ import annotations

import time

import pytest

from ruledeploy.errors import Location, YamlError
from ruledeploy.yamldoc import MAX_BYTES, load_all, load_one


def test_every_value_knows_its_place() -> None:
    """Keys give their own line, list items theirs; an unknown path gives the deepest known."""
    doc = load_one(b"a: 1\nb:\n  - x: 1\n    y: [1, 2]\n", "f.yml")
    assert doc.at("b") == Location("f.yml", 2, 1)
    assert doc.at("b", 0, "y") == Location("f.yml", 4, 5)
    assert doc.at("b", 0, "y", 1) == Location("f.yml", 4, 12)
    assert doc.at("b", 0, "nowhere", 7) == Location("f.yml", 3, 5)


def test_dates_stay_text() -> None:
    """JSON has no dates, and Sigma writes them with slashes too."""
    assert load_one(b"date: 2024-01-02", "f.yml").value == {"date": "2024-01-02"}


def test_empty_documents_are_skipped() -> None:
    """A trailing `---` is no document."""
    assert [doc.value for doc in load_all(b"a: 1\n---\n---\nb: 2\n---\n", "f.yml")] == [
        {"a": 1},
        {"b": 2},
    ]


def test_a_byte_order_mark_is_ignored() -> None:
    """Windows editors write it."""
    assert load_one(b"\xef\xbb\xbfa: 1", "f.yml").value == {"a": 1}


LAUGHS = b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n".encode() for n in range(1, 12)
)

HOSTILE = {
    "broken flow": (b"a: [1,\nb: 2", 3),
    "tab": (b"a:\n\t- b", 2),
    "repeated key": (b"a: 1\nb: 2\na: 3", 3),
    "nested brackets": (b"[" * 100_000, 1),
    "nested mappings": (b"".join(b" " * n + b"k:\n" for n in range(500)), 65),
    "cycle": (b"a: &x [*x]", 1),
    "billion laughs": (LAUGHS, 6),
    "unknown alias": (b"a: *b", 1),
    "NUL": (b"a: 1\nb: \0", 2),
    "not UTF-8": (b"a: 1\nb: \xff", 2),
    "code": (b"a: !!python/object/apply:os.system [id]", 1),
    "list as key": (b"? [1, 2]\n: 3", 1),
    "too big": (b"#" * (MAX_BYTES + 1), 1),
    "unprintable": (b"a: 1\nb: \x07", 2),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_refused_with_a_position(name: str) -> None:
    """Each attack is one clear error, quickly."""
    data, line = HOSTILE[name]
    start = time.monotonic()
    with pytest.raises(YamlError) as caught:
        load_all(data, "f.yml")
    assert caught.value.location is not None
    assert caught.value.location.line == line
    # A bound on the machine's patience, not a benchmark: the bomb alone would take hours.
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(("data", "said"), [(b"", "empty"), (b"a: 1\n---\nb: 2", "only one")])
def test_one_document_means_one(data: bytes, said: str) -> None:
    """None and two are both errors."""
    with pytest.raises(YamlError, match=said):
        load_one(data, "f.yml")
