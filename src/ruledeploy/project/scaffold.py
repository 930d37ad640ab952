"""The files of a new content repository."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable

_MARK = re.compile(r"@(NAME|RULE|OVERLAY|REVIEW)@")
# Within what a policy of half a year asks for.
_REVIEW_AFTER = timedelta(days=180)


def scaffold(name: str, today: date) -> dict[str, str]:
    """Texts by path: settings, a rule with tests, an overlay, CI, pre-commit, CODEOWNERS.

    The ids depend on `name` alone, so that two people who start alike start equal.
    """
    space = uuid.uuid5(uuid.NAMESPACE_URL, f"ruledeploy:scaffold:{name}")
    values = {
        "NAME": name,
        "RULE": str(uuid.uuid5(space, "rule")),
        "OVERLAY": str(uuid.uuid5(space, "overlay")),
        "REVIEW": (today + _REVIEW_AFTER).isoformat(),
    }
    top = files("ruledeploy.data") / "scaffold"
    return {
        path.replace("dot_", "."): _MARK.sub(lambda mark: values[mark[1]], text)
        for path, text in sorted(_texts(top, ""))
    }


def _texts(folder: Traversable, above: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        path = f"{above}{entry.name}"
        if entry.is_dir():
            yield from _texts(entry, f"{path}/")
        else:
            yield path, entry.read_text("utf-8")
