"""An environment's overlays, each file parsed once for all environments and runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ruledeploy.allowlist import Overlay, effective_overlays
from ruledeploy.allowlist.overlay import ParsedOverlays, one_folder, parse_overlay_file
from ruledeploy.compile.means import PLAIN, Means, Task, each_file
from ruledeploy.compile.unit import Problem, problems
from ruledeploy.errors import Collector
from ruledeploy.model import Environment
from ruledeploy.project import Project


@dataclass(frozen=True, slots=True)
class OverlayOutcome:
    """The overlays of one file, and what is wrong in it, fit to be stored."""

    overlays: tuple[Overlay, ...] = ()
    problems: tuple[Problem, ...] = ()

    def parsed(self) -> ParsedOverlays:
        """As reading the file gives it."""
        return ParsedOverlays(self.overlays, tuple(each.error() for each in self.problems))


def overlays_of(project: Project, env: Environment, means: Means = PLAIN) -> Sequence[Overlay]:
    """The overlays of an environment, its folders laid over one another.

    Raises `OverlayError`, `YamlError` or `Problems` with everything that is wrong in any file.
    """
    collector = Collector()
    folders = [project.overlay_files(folder) for folder in env.overlays]
    every = {path: data for files in folders for path, data in files.items()}
    done = each_file(Task("overlay", _outcome, OverlayOutcome), every, means)
    loaded = []
    for files in folders:
        with collector.collect():
            loaded.append(one_folder(done[path].parsed() for path in files))
    collector.raise_if_any()
    return effective_overlays(loaded)


def _outcome(path: str, data: bytes) -> OverlayOutcome:
    parsed = parse_overlay_file(path, data)
    return OverlayOutcome(parsed.overlays, problems(parsed.errors))
