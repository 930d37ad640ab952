"""Overlays that were kept are those that the files say."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import msgpack

from ruledeploy.compile import Cache, Means, overlays_of
from ruledeploy.compile.overlays import OverlayOutcome
from ruledeploy.errors import RuledeployError
from ruledeploy.project import Project, load_project
from ruledeploy.sigma import Pattern, Wildcard

SETTINGS = """
[project]
name = "acme"
[env.local]
kibana_url = "embedded:"
exceptions = ["base", "local"]
"""
OVERLAY = r"""
title: Trusted
id: 0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10
rules: any
items:
  - id: all
    match:
      a: 'C:\*\?x\*'
      b: '*'
      c: '\*'
      d|cidr: 10.0.0.0/8
      e|exists: true
      f|contains|all: [one, two]
    not: {g|cased: Yep}
    expires: 2027-03-31
    review_by: 2027-01-01
    os: [windows]
  - id: kept
    kibana: {entries: [{field: x, type: match, operator: included, value: '*'}], meta: {a: 1.5}}
"""


def project(base: str, local: str = "") -> Project:
    """A repository of two overlay folders."""
    files = {"ruledeploy.toml": SETTINGS, "exceptions/base/o.yml": base}
    files |= {"exceptions/local/l.yml": local} if local else {}
    return load_project({path: text.encode() for path, text in files.items()})


def test_what_is_kept_is_what_was_read(tmp_path: Path) -> None:
    """A wildcard stays one and a star stays a star; dates, lists and Kibana's own fields too."""
    of, means = project(OVERLAY), Means(Cache(tmp_path))
    env = of.environment("local")
    anew = overlays_of(of, env)
    assert overlays_of(of, env, means) == anew == overlays_of(of, env, means)
    patterns = {line.field: line.values for line in anew[0].items[0].match}
    assert patterns["b"] == (Pattern((Wildcard.ANY,)),)
    assert patterns["c"] == (Pattern(("*",)),)
    outcome = OverlayOutcome(tuple(anew))
    assert msgpack.decode(msgpack.encode(outcome), type=OverlayOutcome) == outcome


def test_an_edit_of_either_folder_counts(tmp_path: Path) -> None:
    """The later folder's file is read anew when it changes, and so is the earlier one's."""
    means = Means(Cache(tmp_path))
    item = "id: 0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10\nitems: [{id: all, state: absent}]\n"

    def items(of: Project) -> list[str]:
        (found,) = overlays_of(of, of.environment("local"), means)
        return [each.id for each in found.items]

    assert items(project(OVERLAY)) == ["all", "kept"]
    assert items(project(OVERLAY, item)) == ["kept"]
    assert items(project(OVERLAY.replace("id: kept", "id: other"), item)) == ["other"]
    assert items(project(OVERLAY)) == ["all", "kept"]


def test_what_is_wrong_is_said_each_time(tmp_path: Path) -> None:
    """The kept error is the same error, at its line."""
    of, means = project(OVERLAY.replace("os: [windows]", "os: [plan9]")), Means(Cache(tmp_path))
    said = []
    for how in (Means(), means, means):
        with pytest.raises(RuledeployError, match="plan9") as caught:
            overlays_of(of, of.environment("local"), how)
        said.append((str(caught.value), str(caught.value.location), type(caught.value)))
    assert len(set(said)) == 1
