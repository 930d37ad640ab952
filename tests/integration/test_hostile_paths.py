"""Paths that hurt: pipes, devices, broken names, what may not be read, what vanishes, very many."""

from __future__ import annotations

import codecs
import ctypes
import gzip
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from ruledeploy.cli.applying import read_plan
from ruledeploy.cli.output import write_file
from ruledeploy.engine import Files
from ruledeploy.engine.sources import Part, documents
from ruledeploy.errors import Collector, RefusedError, SourceError
from ruledeploy.project.files import content_files, read_files
from support.hostile import GOOD

SETTINGS = '[project]\nname = "acme"\n[env.local]\nkibana_url = "embedded:"\n'
EVENT = {"@timestamp": "2026-01-01T00:00:00Z", "process": {"executable": "C:\\a.exe"}}
LINE = json.dumps(EVENT).encode() + b"\n"
# A bound on patience: what waits for ever or reads without end passes any.
SECONDS = 120
MEMORY = 1_500_000_000
PR_CAPBSET_DROP = 24
# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
CAPABILITIES = (1, 2)


def bounded() -> None:
    """So much memory and no more, for whoever reads without end."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def unprivileged() -> None:
    """Take from root, if it is root, what lets it read everything; it ends with the next exec."""
    bounded()
    libc = ctypes.CDLL(None)
    for capability in CAPABILITIES:
        libc.prctl(PR_CAPBSET_DROP, capability)


def ruledeploy(
    root: Path, *arguments: str, become: Callable[[], None] = bounded, **given: object
) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own, which must end by itself."""
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "ruledeploy", *arguments],
        cwd=root,
        preexec_fn=become,
        env={**os.environ, "XDG_CACHE_HOME": str(root / ".cache")},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=SECONDS,
        check=False,
        **given,
    )


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A project with one good rule, and a folder of events."""
    root = tmp_path
    (root / "rules").mkdir()
    (root / "events").mkdir()
    (root / "ruledeploy.toml").write_text(SETTINGS)
    (root / "rules" / "good.yml").write_text(GOOD.format(name="Good", id=UUID(int=1)))
    (root / "events" / "good.ndjson").write_bytes(LINE)
    yield root
    for path in root.rglob("shut*"):
        path.chmod(0o700)  # so that it can be removed


def pipe(path: Path) -> None:
    """A named pipe that nobody writes to."""
    os.mkfifo(path)


def device(path: Path) -> None:
    """A device that never ends, by another name."""
    path.symlink_to("/dev/zero")


def nowhere(path: Path) -> None:
    """A link to nothing."""
    path.symlink_to("not-there")


def circle(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path.name)


SPECIAL = [
    (pipe, "not a regular file"),
    (device, "not a regular file"),
    (nowhere, "No such file"),
    (circle, "symbolic links"),
]
NAMES = [
    (b"new\nline", r"new\nline"),
    (b"bell\x07", r"bell\x07"),
    (b"not-utf8-\xff", r"not-utf8-\udcff"),
]


@pytest.mark.parametrize(("make", "said"), SPECIAL)
@pytest.mark.parametrize("command", ["backtest", "tune"])
def test_events_of_no_file_are_refused_by_name(
    root: Path, command: str, make: Callable[[Path], None], said: str
) -> None:
    """In a folder of events, beside good ones: file and reason, and nothing waits."""
    make(root / "events" / "odd.ndjson")
    done = ruledeploy(root, command, "-e", "local", "--events", "events")
    assert done.returncode == 1, done.stderr
    assert "error: events/odd.ndjson: cannot be read: " in done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("make", [pipe, device])
def test_a_way_out_is_told_for_whatever_is_no_file(
    root: Path, make: Callable[[Path], None]
) -> None:
    """As events, as labels and as a plan."""
    make(root / "odd")
    events = ruledeploy(root, "backtest", "-e", "local", "--events", "odd")
    labels = ruledeploy(root, "test", "-e", "local", "--events", "events", "--labels", "odd")
    plan = ruledeploy(root, "push", "-e", "local", "odd")
    assert [events.returncode, labels.returncode, plan.returncode] == [1, 1, 64]
    assert "odd: cannot be read: not a regular file" in events.stderr
    assert "odd: cannot be read: not a regular file" in labels.stderr
    assert "cannot read odd: not a regular file" in plan.stderr
    for done in (events, labels, plan):
        assert "→" in done.stderr


@pytest.mark.parametrize("make", [pipe, device])
def test_settings_that_are_no_file_are_refused(root: Path, make: Callable[[Path], None]) -> None:
    """`ruledeploy.toml` as a pipe or a device."""
    (root / "ruledeploy.toml").unlink()
    make(root / "ruledeploy.toml")
    done = ruledeploy(root, "check")
    assert done.returncode == 1
    assert "ruledeploy.toml: is no file" in done.stderr


@pytest.mark.parametrize("make", [pipe, device, nowhere, circle])
def test_an_overlay_that_is_no_file_is_refused(root: Path, make: Callable[[Path], None]) -> None:
    """Of overlays, the rules beside it still convert; a value list is told as well."""
    base = root / "exceptions" / "base"
    base.mkdir(parents=True)
    make(base / "odd.yml")
    done = ruledeploy(root, "check")
    assert done.returncode == 1
    assert "exceptions/base/odd.yml" in done.stdout + done.stderr
    done = ruledeploy(root, "convert", "-f", "ndjson")
    assert json.loads(done.stdout)["name"] == "Good"


@pytest.mark.parametrize("make", [pipe, device, nowhere, circle])
@pytest.mark.parametrize("name", ["exceptions/value_lists/odd.txt", "ruledeploy.lock/local.json"])
def test_whatever_is_named_like_content_is_no_pipe(
    root: Path, name: str, make: Callable[[Path], None]
) -> None:
    """A lock that cannot be read must not pass for none: rules would be compiled otherwise."""
    (root / name).parent.mkdir(parents=True)
    make(root / name)
    done = ruledeploy(root, "check")
    assert done.returncode == 1
    assert name in done.stdout + done.stderr


@pytest.mark.parametrize(("name", "shown"), NAMES)
def test_names_that_cannot_be_shown_are_refused(root: Path, name: bytes, shown: str) -> None:
    """Of events and of rules, escaped in the message; the other rule converts."""
    (root / "events" / os.fsdecode(name + b".ndjson")).write_bytes(LINE)
    done = ruledeploy(root, "backtest", "-e", "local", "--events", "events")
    assert done.returncode == 1
    assert f"error: events/{shown}.ndjson: the file's name has characters" in done.stderr
    (root / "rules" / os.fsdecode(name + b".yml")).write_text("title: x")
    done = ruledeploy(root, "convert", "-f", "ndjson")
    assert done.returncode == 1
    assert f"refused: rules/{shown}.yml: the file's name has characters" in done.stderr
    assert json.loads(done.stdout)["name"] == "Good"


@pytest.mark.parametrize("folder", [False, True])
def test_what_may_not_be_read_is_told(root: Path, *, folder: bool) -> None:
    """A file or a folder without the right to read: events missing must not pass for none."""
    for below, name in (("events", "shut.ndjson"), ("rules", "shut.yml")):
        path = root / below / ("shut" if folder else name)
        path.mkdir() if folder else path.write_text("x")
        path.chmod(0)
    name = "shut" if folder else "shut.yml"
    done = ruledeploy(root, "convert", "-f", "ndjson", become=unprivileged)
    assert done.returncode == 1
    assert f"refused: rules/{name}: cannot be read: Permission denied" in done.stderr
    assert json.loads(done.stdout)["name"] == "Good"
    (root / "rules" / name).rename(root / "aside")
    name = "shut" if folder else "shut.ndjson"
    done = ruledeploy(root, "backtest", "-e", "local", "--events", "events", become=unprivileged)
    assert done.returncode == 1
    assert f"error: events/{name}: cannot be read: Permission denied" in done.stderr


def test_folders_that_lead_in_circles_end(root: Path) -> None:
    """A link to the folder above: each event is read once, each rule converted once."""
    (root / "events" / "up").symlink_to("..")
    (root / "events" / "deep").mkdir()
    (root / "events" / "deep" / "up").symlink_to("../..")
    done = ruledeploy(root, "backtest", "-e", "local", "--events", "events", "--json")
    assert done.returncode == 0, done.stderr
    (root / "rules" / "up").symlink_to("..")
    assert len(list(documents(Files((root / "events",))))) == 1
    done = ruledeploy(root, "convert", "-f", "ndjson")
    assert done.returncode == 1
    assert "refused: rules/up: is a link to a folder" in done.stderr
    assert json.loads(done.stdout)["name"] == "Good"


def test_ten_thousand_files_in_a_folder(root: Path) -> None:
    """Rules with a broken one among them, and events."""
    for number in range(2, 10_001):
        text = GOOD.format(name=f"Good {number}", id=UUID(int=number))
        (root / "rules" / f"r{number:05}.yml").write_text(text)
        (root / "events" / f"e{number:05}.ndjson").write_bytes(LINE)
    (root / "rules" / "broken.yml").write_text("title: [")
    done = ruledeploy(root, "convert", "-f", "ndjson")
    assert done.returncode == 1
    assert "refused: rules/broken.yml:" in done.stderr
    assert "10000 converted, 1 refused" in done.stderr
    assert len(list(documents(Files((root / "events",))))) == 10_000


# ------------------------------------------------------------------------------ standard input


def test_events_come_from_a_file_as_standard_input(root: Path) -> None:
    """`/dev/stdin` is the file that it was opened from; a pipe could be read but once."""
    asked = ("backtest", "-e", "local", "--events", "/dev/stdin")
    with (root / "events" / "good.ndjson").open() as file:
        done = ruledeploy(root, *asked, stdin=file)
    assert done.returncode == 0, done.stderr
    done = ruledeploy(root, *asked, input=LINE.decode())
    assert done.returncode == 1
    assert "error: /dev/stdin: cannot be read: not a regular file" in done.stderr


def test_a_plan_may_come_through_a_pipe_that_is_open() -> None:
    """What whoever started us opened is read: `push -e prod <(…)`, `push -e prod /dev/stdin`."""
    there, here = os.pipe()
    os.write(here, b"{}")
    os.close(here)
    with pytest.raises(RefusedError, match="this plan has schema None"):
        read_plan(Path(f"/dev/fd/{there}"))
    os.close(there)


# -------------------------------------------------------------------------- marks at the start


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ndjson", codecs.BOM_UTF8 + LINE + LINE),
        ("a.ndjson", codecs.BOM_UTF8 + b"\n" + LINE + LINE),
        ("a.ndjson.gz", gzip.compress(codecs.BOM_UTF8 + LINE + LINE)),
        ("a.json", codecs.BOM_UTF8 + b"[" + LINE + b"," + LINE + b"]"),
    ],
    ids=["lines", "blank first", "packed", "array"],
)
def test_a_byte_order_mark_is_no_part_of_the_events(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """As Windows' editors and PowerShell write it, before lines or an array."""
    (tmp_path / name).write_bytes(content)
    found = list(documents(Files((tmp_path / name,))))
    assert [one.source for one in found] == [EVENT, EVENT]


@pytest.mark.parametrize("cut", [1, 2, 3, 4, len(LINE), len(LINE) + 3, len(LINE) + 4])
def test_a_file_with_a_mark_may_be_cut_anywhere(tmp_path: Path, cut: int) -> None:
    """Two parts have together what the whole has."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(codecs.BOM_UTF8 + LINE + LINE)
    lines = [*Part(path, 0, cut).lines(), *Part(path, cut).lines()]
    found = [(place().line, json.loads(line)) for place, line in lines]
    assert found == [(1, EVENT), (2, EVENT)]


def test_a_mark_within_a_line_is_refused(tmp_path: Path) -> None:
    """Two such files one after the other: the second's mark stands in a line of its own."""
    (tmp_path / "a.ndjson").write_bytes(2 * (codecs.BOM_UTF8 + LINE))
    with pytest.raises(SourceError, match=r"a\.ndjson:2: not a JSON line"):
        list(documents(Files((tmp_path,))))


# ---------------------------------------------------------------- changes while they are read


def test_a_rule_that_vanishes_or_changes_its_kind_is_told(root: Path) -> None:
    """Between listing and reading: deleted, or made a pipe; the others are read."""
    for name in ("deleted", "piped", "grown"):
        (root / "rules" / f"{name}.yml").write_text("title: x\n")
    errors = Collector()
    listed = content_files(root, errors)
    (root / "rules" / "deleted.yml").unlink()
    (root / "rules" / "piped.yml").unlink()
    os.mkfifo(root / "rules" / "piped.yml")
    (root / "rules" / "grown.yml").write_text("title: longer\n")
    found = read_files(listed, errors)
    assert {"ruledeploy.toml", "rules/good.yml", "rules/grown.yml"} == {*found}
    assert found["rules/grown.yml"] == b"title: longer\n"
    said = [str(error) for error in errors.errors]
    assert len(said) == 2
    assert said[0].startswith("rules/deleted.yml: cannot be read: No such file")
    assert said[1].startswith("rules/piped.yml: is no file")


def test_events_that_vanish_are_told(root: Path) -> None:
    """A file that was listed is not there when its turn comes."""
    (root / "events" / "later.ndjson").write_bytes(LINE)
    found = documents(Files((root / "events",)))
    next(found)
    (root / "events" / "later.ndjson").unlink()
    with pytest.raises(SourceError, match=r"later\.ndjson: cannot be read: No such file"):
        next(found)


# --------------------------------------------------------------------- killed while it writes

WRITER = """
import resource, signal, sys
from pathlib import Path
from ruledeploy.cli.output import write_file
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # dies of it at once, as of SIGKILL
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
write_file(Path(sys.argv[1]), "new\\n" * 1_000_000)
"""


@pytest.mark.parametrize("before", ["old\n", None])
def test_a_process_that_dies_while_it_writes_leaves_the_old_file(
    tmp_path: Path, before: str | None
) -> None:
    """Plans, overlays and rules are written so: whole or not at all; the next write succeeds."""
    path = tmp_path / "overlay.yml"
    if before is not None:
        path.write_text(before)
    done = subprocess.run([sys.executable, "-c", WRITER, str(path)], timeout=SECONDS, check=False)
    assert done.returncode == -signal.SIGXFSZ
    assert (path.read_text() if path.exists() else None) == before
    # What it left behind is hidden, so that no loader takes it for a rule.
    assert all(one.name.startswith(".") for one in tmp_path.iterdir() if one != path)
    write_file(path, "new\n")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("overlay.yml", "new\n")]
