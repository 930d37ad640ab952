"""Files that commands write: whole or not at all, and in no other file's place."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ruledeploy.cli.output import write_file
from ruledeploy.errors import RuledeployError


def test_a_link_is_written_through(tmp_path: Path) -> None:
    """It stays a link, also over another, and to a file that is not there yet."""
    target = tmp_path / "there" / "file"
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to(target)
    for text in ("a", "b"):
        write_file(tmp_path / "one", text)
        assert target.read_text() == text
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "two").is_symlink()
    assert list(target.parent.iterdir()) == [target]


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    """A pipe, here for every device: a file in the place of `/dev/null` breaks a machine."""
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_file(pipe, "text")
    reader.join(10)
    assert read == ["text"]
    assert pipe.is_fifo()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """And what was there stays."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(RuledeployError, match=r"cannot write .*file/below: "):
        write_file(tmp_path / "file" / "below", "text")
    with pytest.raises(RuledeployError, match="it is a folder"):
        write_file(tmp_path, "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
