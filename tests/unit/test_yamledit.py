"""YAML edited in place: what nobody edits stays byte for byte, what is inserted reads back."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.yamldoc import load_all
from ruledeploy.yamledit import YamlEdit, cut_item, new_document

ROOT = Path(__file__).parents[2]
OURS = [*(ROOT / "rules").rglob("*.yml"), *(ROOT / "exceptions").rglob("*.yml")]
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.sampled_from(
    ["yes", "No", "on", "~", "null", "0x1f", "1_000", "1e3", "2027-01-01", "=", "<<", "*a", "&a",
     "!x", "%", "@", "`", "a: b", "a #b", " lead", "trail ", "- x", "?", "a\nb", "a\n\nb\n", "\n",
     "a\n b\n", "tab\there", "C:\\x", "'", '"', "\x85", "\u2028", "\ufeff", "true", ".inf"]
)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def read(data: bytes) -> Any:
    """The one document, as every reader of ours sees it."""
    [doc] = load_all(data, "x.yml")
    return doc.value


@given(st.dictionaries(st.just("key"), values, min_size=1))
def test_what_is_written_reads_back(value: dict[str, Any]) -> None:
    """Whatever the text looks like to YAML 1.1."""
    assert read(new_document(value)) == value


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_an_unedited_file_stays_as_it_is(path: Path) -> None:
    """Byte for byte."""
    data = path.read_bytes()
    assert YamlEdit(data, path.name).to_bytes() == data


COMMENTED = b"""\
# About this file.
title: 'Quoted'  # why

elastic:
    note: |
      Two
      lines
    index: ["a", b]   # flow
    enabled: null
when: 2026-11-24T03:00:00.000Z
tags:
    # the first
    - one
    # the second
    - two
"""


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_an_edit_changes_its_own_line_only(newline: bytes) -> None:
    """Comments, quotes, indentation, dates and line ends of the others stay."""
    data = COMMENTED.replace(b"\n", newline)
    edit = YamlEdit(data, "x.yml")
    edit.documents[0]["elastic"]["enabled"] = True
    before, after = data.split(newline), edit.to_bytes().split(newline)
    assert [line for line in after if line not in before] == [b"    enabled: true"]
    assert len(before) == len(after)


def test_several_documents_stay_apart() -> None:
    """Each one is edited by itself."""
    edit = YamlEdit(b"---\na: 1\n---\na: 2\n", "x.yml")
    edit.documents[1]["a"] = 3
    assert edit.to_bytes() == b"---\na: 1\n---\na: 3\n"


@pytest.mark.parametrize(
    ("index", "kept"),
    [
        (0, "items:\n  # b's\n  - id: b\n\n  # c's\n  - id: c\n# end\n"),
        (1, "items:\n  # a's\n  - id: a\n    x: 1\n\n  # c's\n  - id: c\n# end\n"),
        (2, "items:\n  # a's\n  - id: a\n    x: 1\n  # b's\n  - id: b\n\n# end\n"),
    ],
)
def test_an_item_goes_with_its_comment_alone(index: int, kept: str) -> None:
    """The comments of the others stay where they are."""
    data = (
        b"items:\n  # a's\n  - id: a\n    x: 1\n  # b's\n  - id: b\n\n  # c's\n  - id: c\n# end\n"
    )
    [doc] = load_all(data, "x.yml")
    made = cut_item(data, doc.node.value[0][1], index).decode()
    assert made == kept
    assert len(read(made.encode())["items"]) == 2


def test_a_list_without_items_is_an_empty_list() -> None:
    """Not null, and the keys after it stay."""
    data = dedent("""\
        items:  # ours
          - id: a
        title: x
        """).encode()
    [doc] = load_all(data, "x.yml")
    assert read(cut_item(data, doc.node.value[0][1], 0)) == {"items": [], "title": "x"}


def test_a_new_file_has_one_layout_whatever_its_texts_look_like() -> None:
    """Texts with lists in them do not decide how the file's own lists are indented."""
    value = {"note": "steps:\n- one\n- two\n", "tags": ["a", "b"]}
    edit = YamlEdit.of(value)
    assert edit.to_bytes() == b"note: |\n  steps:\n  - one\n  - two\ntags:\n  - a\n  - b\n"
    edit.documents[0]["level"] = "low"
    assert edit.to_bytes().endswith(b"tags:\n  - a\n  - b\nlevel: low\n")
