"""What lies in a content repository: `ruledeploy.toml`, its environments, its files.

Loads from a mapping of path → bytes, so a folder and a Git commit are the same thing.
"""

from __future__ import annotations

from ruledeploy.project.files import Files, read_commit, read_folder
from ruledeploy.project.load import Project, load_project

__all__ = ["Files", "Project", "load_project", "read_commit", "read_folder"]
