"""Reading a content repository into memory, from a folder or from a Git commit."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ruledeploy.errors import Collector, ConfigError, Location, UsageError
from ruledeploy.paths import printable
from ruledeploy.project.settings import is_below, read_toml
from ruledeploy.yamldoc import MAX_BYTES

# Repository-relative POSIX path → content.
Files = Mapping[str, bytes]
# Told where files are that are about to be read.
Expect = Callable[[Collection[str]], object]

CONFIG = "ruledeploy.toml"
SCENARIOS = "scenarios"
CASES = "tests/detection"
LOCKS = "ruledeploy.lock"
_YAML = (".yml", ".yaml")
# Of a file that is no YAML, such as a value list.
MAX_OTHER = 64_000_000
# The mode that Git gives a symbolic link.
_LINK = "120000"
_SUFFIXES = frozenset({*_YAML, ".txt", ".md", ".json", ".toml"})
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# Most rules are smaller.
_PART = 1 << 14


def read_folder(
    root: Path, errors: Collector | None = None, expect: Expect = tuple
) -> dict[str, bytes]:
    """The files of the content repository at `root`, sorted by path.

    Raises `ConfigError` when there is no `ruledeploy.toml` that can be read. Another file or folder
    that cannot be read is left out, and its error goes to `errors`; without one it is raised.
    `expect` is told where the files are before they are read.
    """
    config = root / CONFIG
    if config.exists() and not config.is_file():
        raise ConfigError("is no file, but is named like one", location=Location(CONFIG))
    if not config.is_file():
        raise ConfigError(
            f"no {CONFIG} in {root.resolve()}",
            location=Location(CONFIG),
            hint="run this where your rules are, or name the folder with --project",
        )
    collector = Collector() if errors is None else errors
    named = content_files(root, collector)
    expect(named.values())
    found = read_files(named, collector)
    if errors is None:
        collector.raise_if_any()
    return found


def content_files(root: Path, errors: Collector) -> dict[str, str]:
    """The files that make up the content repository at `root`: where each is, sorted by name.

    A file's name is its path below `root`. A folder that cannot be read goes to `errors`: what is
    in it must not pass for deleted. Raises `ConfigError` when `ruledeploy.toml` cannot be read.
    """
    config = root / CONFIG
    if not config.is_file():
        return {}
    found = {CONFIG: str(config)}
    for folder in _folders(_read(CONFIG, str(config))):
        below = files_below(root / folder, _name_below(root, folder), errors)
        found |= {name: path for name, path in below if _is_content(name, path)}
    return dict(sorted(found.items()))


def _is_content(name: str, path: str) -> bool:
    """A pipe or a link to nowhere is an error; a folder is one where a rule is expected."""
    return is_yaml(name) or (_suffix(name) in _SUFFIXES and not os.path.isdir(path))  # noqa: PTH112 - a string


def _name_below(root: Path, folder: str) -> str:
    """A folder of the settings as the names of files below it begin; empty: the root itself."""
    try:
        name = (root / folder).relative_to(root).as_posix()
    except ValueError:
        return "."  # hidden: what is not below the root is not part of the repository
    return "" if name == "." else name


def files_below(folder: Path, name: str, errors: Collector) -> Iterator[tuple[str, str]]:
    """Everything in a folder and its folders by name, and where it is; nothing that is hidden.

    A link to a folder is not followed (it may lead in circles, and Git does not) and goes to
    `errors`, as does a folder that cannot be read. There may be no such folder.
    """
    if any(part.startswith(".") for part in name.split("/")):
        return
    waiting = [(name, str(folder))]
    while waiting:
        name, place = waiting.pop()
        for entry in _entries(name, place, errors):
            below = f"{name}/{entry.name}" if name else entry.name
            yield below, entry.path
            if _is_folder(entry):
                if entry.is_symlink():
                    message = "is a link to a folder, which is not followed"
                    hint = "put the folder itself there, or name it in ruledeploy.toml"
                    errors.add(ConfigError(message, location=Location(below), hint=hint))
                else:
                    waiting.append((below, entry.path))


def _entries(name: str, place: str, errors: Collector) -> list[os.DirEntry[str]]:
    """What lies in a folder and is not hidden."""
    try:
        with os.scandir(place) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        errors.add(ConfigError(message, location=Location(name)))
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def read_files(named: Mapping[str, str], errors: Collector) -> dict[str, bytes]:
    """Contents by name; a file that cannot be read is left out, and an error."""
    found = {}
    for name, path in named.items():
        try:
            found[name] = _read(name, path)
        except ConfigError as error:
            errors.add(error)
    return found


def read_commit(root: Path, revision: str) -> dict[str, bytes]:
    """The same files as they are in a Git commit; the work tree is not touched.

    Raises `UsageError` when `root` is no Git repository or the revision is unknown.
    """
    if revision.startswith("-"):
        # Git would take it for an option.
        raise UsageError(f"{revision!r} is no revision", hint="such as HEAD~1 or main")
    names = _listed(root, revision)
    if CONFIG not in names:
        raise UsageError(f"{revision} has no {CONFIG}")
    config = _git(root, "cat-file", "blob", f"{revision}:./{CONFIG}")
    folders = [PurePosixPath(folder) for folder in _folders(config)]
    wanted = [
        name
        for name in names
        if _wanted(name) and any(PurePosixPath(name).is_relative_to(f) for f in folders)
    ]
    found = {CONFIG: config, **dict(_blobs(root, revision, wanted))}
    for name in wanted:
        if names[name] == _LINK:
            found[name] = _linked(root, revision, name, found[name], names)
    return dict(sorted(found.items()))


def _listed(root: Path, revision: str) -> dict[str, str]:
    """The mode of every file of a commit, by its path; a submodule is none."""
    listing = _git(root, "ls-tree", "-r", "-z", revision, "--", ".")
    entries = listing.decode("utf-8", "surrogateescape").split("\0")
    about = [entry.partition("\t") for entry in entries if entry]
    return {path: said.split()[0] for said, _, path in about if said.split()[1] == "blob"}


def _linked(root: Path, revision: str, name: str, target: bytes, names: Mapping[str, str]) -> bytes:
    """What a link leads to in the same commit; Git keeps the target's path as its content."""
    seen, path = {name}, name
    while names.get(path) == _LINK:
        place = PurePosixPath(path).parent / target.decode("utf-8", "surrogateescape")
        path = os.path.normpath(place)
        if path not in names or path in seen:
            break  # whoever loads it refuses what it says
        seen.add(path)
        ((_, target),) = _blobs(root, revision, [path])
    return target


def _folders(config: bytes) -> list[str]:
    """The folders that hold content. A broken file gives the defaults; loading reports it."""
    try:
        project: Any = read_toml(config, CONFIG)[1].get("project", {})
    except ConfigError:
        project = {}
    project = project if isinstance(project, dict) else {}
    rules = project.get("rules", ["rules"])
    rules = rules if isinstance(rules, list) else ["rules"]
    exceptions = project.get("exceptions", "exceptions")
    folders = [*rules, exceptions, SCENARIOS, CASES, LOCKS]
    return [folder for folder in folders if isinstance(folder, str) and is_below(folder)]


def is_yaml(name: str) -> bool:
    """Whether a file is named as rules and overlays are."""
    return name.endswith(_YAML)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1]  # noqa: PTH122 - names are strings here, for there are many


def _wanted(name: str) -> bool:
    hidden = any(part.startswith(".") for part in name.split("/"))
    return _suffix(name) in _SUFFIXES and not hidden


def _read(name: str, path: str) -> bytes:
    """The content; of a YAML file no more than shows that it is too large."""
    if not name.isprintable():
        message = "the file's name has characters that cannot be shown"
        raise ConfigError(message, location=Location(printable(name)), hint="rename it")
    try:
        if stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - a string, for there are many
            data = _bytes(path, (MAX_BYTES if is_yaml(name) else MAX_OTHER) + 1)
            if len(data) > MAX_OTHER:
                message = f"the file has more than {MAX_OTHER:,} bytes"
                raise ConfigError(message, location=Location(name), hint="split it")
            return data
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", location=Location(name)) from error
    raise ConfigError(
        "is no file, but is named like one", location=Location(name), hint="rename it"
    )


def _bytes(path: str, most: int) -> bytes:
    """A file's bytes, no more than `most`, without what a file object costs."""
    descriptor = os.open(path, _READ)
    try:
        data = part = os.read(descriptor, min(_PART, most))
        while part and len(data) < most:
            part = os.read(descriptor, min(max(_PART, len(data)), most - len(data)))
            data += part
        return data
    finally:
        os.close(descriptor)


def _git(root: Path, *arguments: str, given: bytes | None = None) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - git with a fixed verb and no shell
            ["git", "-C", str(root), *arguments],  # noqa: S607 - the user's own git
            input=given,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed", hint="install it to compare commits") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        hint = "run this in a Git repository, with revisions it has (a shallow clone lacks some)"
        raise UsageError(f"git {arguments[0]}: {said[0] if said else 'failed'}", hint=hint)
    return done.stdout


def _blobs(root: Path, revision: str, names: Iterable[str]) -> Iterable[tuple[str, bytes]]:
    """Many blobs through one `git cat-file --batch`: a line with the size, then the bytes."""
    wanted = list(names)
    asked = "".join(f"{revision}:./{name}\n" for name in wanted).encode("utf-8", "surrogateescape")
    answer = _git(root, "cat-file", "--batch", given=asked)
    at = 0
    for name in wanted:
        end = answer.index(b"\n", at)
        size = int(answer[at:end].rsplit(b" ", 1)[1])
        yield name, answer[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
