"""Which files an edit concerns: those that changed, and those that speak of what they define.

A rule is named by the overlays, filters, correlations and cases that are about it, a value list by
the items that use it, a scenario by evidence and cases. Rather too many files than too few: what
depends on an edit is looked at again. Settings are aside: every file depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ruledeploy.project import Files

_DEFINES = re.compile(r"^(?:id|title|name):(.*)$", re.MULTILINE)
_TAG = re.compile(r"\b(?:attack|cve|car|detection|stp|tlp)\.[\w.-]+")
# Where one value ends and another begins, as YAML is usually written.
_PIECES = re.compile(r"""[\n,\[\]{}]|:\s|-\s|\bscenario:""")
_EVERY = "any"


def concerned(before: Files, after: Files) -> set[str]:
    """The paths of `after` that differ from `before`, and those that depend on them."""
    paths = before.keys() | after.keys()
    changed = {path for path in paths if before.get(path) != after.get(path)}
    pieces = {path: _pieces(_text(data)) for path, data in after.items() if path not in changed}
    found, new = set(changed), set(changed)
    while new:
        names = {name for path in new for data in (before, after) for name in _names(path, data)}
        new = {path for path, said in pieces.items() if not said.isdisjoint(names)} - found
        found |= new
    return found


def _names(path: str, files: Files) -> Iterator[str]:
    """Under what other files may speak of a file: what it defines, and its own name."""
    yield path
    if path.endswith(".txt"):
        yield path.rpartition("/")[2].removesuffix(".txt")
    text = _text(files.get(path, b""))
    for found in _DEFINES.finditer(text):
        yield _bare(found[1])
    if "detection:" in text or "correlation:" in text:
        # Overlays may name rules by a tag, or all of them.
        yield _EVERY
        yield from (f"tag:{tag.replace('_', '-')}" for tag in _TAG.findall(text))


def _pieces(text: str) -> frozenset[str]:
    """The single values of a YAML text, and tags in today's spelling."""
    bare = {_bare(piece) for piece in _PIECES.split(text)}
    return frozenset({*bare, *(one.replace("_", "-") for one in bare if one.startswith("tag:"))})


def _bare(text: str) -> str:
    return text.partition(" #")[0].strip().strip("'\"")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
