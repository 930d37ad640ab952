"""What every command does with its result: data on stdout, remarks on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruledeploy.cli.options import Form
from ruledeploy.errors import RuledeployError


def print_json(value: Any) -> None:
    """The value as indented JSON on stdout."""
    sys.stdout.write(json_text(value))


def json_text(value: Any) -> str:
    """The value as indented JSON, with a line end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def print_form(
    form: Form,
    plain: Any,
    *,
    text: Callable[[Any], None],
    markdown: Callable[[Any], Iterable[str]],
) -> None:
    """A result in its plain form, on stdout as the command line asks for it."""
    match form:
        case Form.json:
            print_json(plain)
        case Form.markdown:
            sys.stdout.writelines(f"{line}\n" for line in markdown(plain))
        case Form.text:
            text(plain)


def say(text: str) -> None:
    """A remark for the person, on stderr, so that stdout stays data."""
    print(text, file=sys.stderr)  # noqa: T201 - the program's own messages


def write_file(path: Path, text: str | Iterable[str]) -> None:
    """Write a file, given in one piece or many, whole or not at all.

    Raises `RuledeployError` when it cannot be written.

    A link stays one; what is no file, or stands in `/dev`, is written to and never replaced.
    """
    if path.is_dir():
        raise RuledeployError(f"cannot write {path}: it is a folder", hint="name a file in it")
    try:
        device = path.absolute().is_relative_to("/dev") or not path.is_file()
        if device and path.exists():
            _write(path, text)
        else:
            _replace(Path(os.path.realpath(path)), text)
    except OSError as error:
        raise RuledeployError(f"cannot write {path}: {error.strerror}") from error


def _replace(path: Path, text: str | Iterable[str]) -> None:
    beside = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write(beside, text)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def _write(path: Path, text: str | Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines([text] if isinstance(text, str) else text)
