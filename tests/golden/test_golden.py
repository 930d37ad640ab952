"""What our own content compiles to, kept as text: a change shows in the diff of a golden file.

`make golden` rewrites the files; review what changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from ruledeploy.compile import compile_release
from ruledeploy.project import load_project, read_folder

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ENVS = ("demo-dev", "demo-prod")


def release_text(env: str) -> str:
    """The release of one environment of this repository, as of a fixed day."""
    project = load_project(read_folder(ROOT))
    release = compile_release(project, project.environment(env), date(2026, 11, 24))
    return json.dumps(release.to_json(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


@pytest.mark.parametrize("env", ENVS)
def test_golden_release(env: str) -> None:
    """The release is the one kept, byte for byte."""
    path = HERE / f"{env}.json"
    text = release_text(env)
    if os.environ.get("RULEDEPLOY_GOLDEN") == "rewrite":
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8"), "run `make golden` and review the diff"


def test_a_release_is_the_same_in_another_process() -> None:
    """Nothing depends on hashing order or on what was loaded before."""
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "import test_golden\nsys.stdout.write(test_golden.release_text('demo-prod'))"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environ
    )
    assert done.stdout.decode() == release_text("demo-prod")
