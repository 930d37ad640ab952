"""The cache never changes a result, whatever happens to its file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from msgspec import msgpack

from ruledeploy.compile import Cache, Means, compile_release
from ruledeploy.compile.cache import cache_folder, entry_key
from ruledeploy.compile.unit import FileOutcome, Recipe, compile_file
from ruledeploy.compile.workers import MIN_FILES, Crew
from ruledeploy.errors import RuledeployError
from ruledeploy.model import Environment, canonical
from ruledeploy.project import Project, load_project

TODAY = date(2027, 1, 1)
RULE = """\
title: Rule {n}
id: 00000000-0000-4000-8000-{n:012d}
status: test
level: high
tags: [attack.t1055.002]
logsource: {{product: windows, category: process_creation}}
detection:
  selection:
    Image|endswith: ['\\tool{n}.exe', '\\other.exe']
  condition: selection
"""
BAD = "title: Bad\nlogsource: {product: windows}\ndetection: {s: {a|nosuch: b}, condition: s}\n"
SETTINGS = '[project]\nname = "acme"\n[env.local]\nkibana_url = "embedded:"\n'


def project(rules: int, **extra: str) -> Project:
    """A repository of so many rules; `extra` are further files by name."""
    files = {f"rules/r{n}.yml": RULE.format(n=n).encode() for n in range(rules)}
    files |= {f"rules/{name}.yml": text.encode() for name, text in extra.items()}
    return load_project({"ruledeploy.toml": SETTINGS.encode(), **files})


def text(of: Project, means: Means) -> str:
    """The release as canonical JSON."""
    release = compile_release(of, of.environment("local"), TODAY, means)
    return canonical(release.to_json())


def said(of: Project, means: Means) -> str:
    """What is wrong, as the user reads it."""
    with pytest.raises(RuledeployError) as caught:
        text(of, means)
    return str(caught.value)


def test_the_same_bytes_with_and_without(tmp_path: Path) -> None:
    """Nothing kept, then kept, then one file changed: always what compiling anew gives."""
    before, after = project(5), project(5, r0=RULE.format(n=0).replace("high", "low"))
    means = Means(Cache(tmp_path))
    assert text(before, means) == text(before, Means()) == text(before, means)
    assert text(after, means) == text(after, Means()) != text(before, means)


def test_errors_are_kept_too(tmp_path: Path) -> None:
    """A refused rule says the same when nobody converted it again."""
    broken = project(2, bad=BAD, twice=RULE.format(n=1))
    means = Means(Cache(tmp_path))
    assert said(broken, Means()) == said(broken, means) == said(broken, means)
    assert "nosuch" in said(broken, means)
    assert "is taken by" in said(broken, means)


def test_one_process_or_many(tmp_path: Path) -> None:
    """Processes share the work and change nothing, with a cache and without."""
    of = project(MIN_FILES, bad="title: [")
    alone = said(of, Means())
    assert said(of, Means(crew=Crew(3))) == alone
    assert said(of, Means(Cache(tmp_path), crew=Crew(3))) == alone
    good = project(MIN_FILES)
    assert text(good, Means(crew=Crew(3))) == text(good, Means())


@pytest.mark.parametrize(
    "damage", ["text", "torn", "flipped", "typed", "other", "no text", "empty", "folder"]
)
def test_a_damaged_file_is_a_miss(tmp_path: Path, damage: str) -> None:
    """A cache that a crash or a hand has broken is made anew and never believed."""
    of, cache = project(3), Cache(tmp_path)
    good = text(of, Means(cache))
    _damage(cache.path, damage)
    assert text(of, Means(cache)) == good
    assert text(of, Means(cache)) == good


def _damage(path: Path, how: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if how == "typed":
            db.execute("UPDATE entry SET value = 'text that another program wrote'")
        if how == "no text":
            db.execute("UPDATE entry SET value = CAST(x'ff' AS TEXT)")
        if how == "other":
            db.execute("DROP TABLE entry")
            db.execute("CREATE TABLE entry (another INTEGER)")
        if how == "flipped":
            # A byte in the middle of a value, as a bad disk would do it.
            for key, value in db.execute("SELECT key, value FROM entry").fetchall():
                bent = bytearray(value)
                bent[len(bent) // 2] ^= 1
                db.execute("UPDATE entry SET value = ? WHERE key = ?", (bytes(bent), key))
    db.close()
    match how:
        case "text":
            path.write_text("not a database " * 100)
        case "torn":
            path.write_bytes(path.read_bytes()[:5000])
        case "empty":
            path.write_bytes(b"")
        case "folder":
            path.unlink()
            path.mkdir()


def test_a_wrong_value_under_a_right_checksum_is_a_miss(tmp_path: Path) -> None:
    """What does not read as an outcome is compiled again."""
    of, cache = project(1), Cache(tmp_path)
    env = of.environment("local")
    recipe = Recipe(env, "ruledeploy:acme:local", of.env_names)
    path, data = next(iter(of.rule_files.items()))
    cache.put({entry_key(recipe.fingerprint(), path, data): b"\xc1"})
    assert text(of, Means(cache)) == text(of, Means())


def test_the_key_holds_all_that_matters() -> None:
    """Another language, index, path or content is another entry; a secret or space is not."""
    local = Environment("local")
    recipe = Recipe(local, "m", ("local",))
    assert recipe.fingerprint() == Recipe(local, "m", ("local",)).fingerprint()
    for changed in (
        Recipe(Environment("local", language="esql"), "m", ("local",)),
        Recipe(Environment("local", indices={"windows": ("x-*",)}), "m", ("local",)),
        Recipe(Environment("local", attack_version="v19"), "m", ("local",)),
        Recipe(local, "n", ("local",)),
        Recipe(local, "m", ("local", "other")),
    ):
        assert changed.fingerprint() != recipe.fingerprint()
    moved = Recipe(Environment("local", space="soc", kibana_url="http://k"), "m", ("local",))
    assert moved.fingerprint() == recipe.fingerprint()
    assert entry_key("r", "a", b"bc") != entry_key("r", "ab", b"c")


def test_it_stays_within_its_room(tmp_path: Path) -> None:
    """Past its bound, what was not used for longest goes."""
    cache = Cache(tmp_path, max_bytes=10_000)
    for n in range(30):
        cache.put({bytes([n]): b"x" * 1000})
    kept = cache.get([bytes([n]) for n in range(30)])
    assert 0 < sum(map(len, kept.values())) <= 10_000


def test_an_outcome_survives_its_bytes() -> None:
    """Encoding loses nothing: heads, rules, findings and problems."""
    recipe = Recipe(Environment("local"), "m", ("local",))
    for content in (RULE.format(n=1), BAD):
        outcome = compile_file(recipe, "r.yml", content.encode())
        assert msgpack.decode(msgpack.encode(outcome), type=FileOutcome) == outcome


WRITER = """
import sys
from pathlib import Path
from ruledeploy.compile import Cache
cache, mine = Cache(Path(sys.argv[1])), sys.argv[2].encode()
for n in range(40):
    cache.put({mine + bytes([n]): mine * 5000})
    found = cache.get([mine + bytes([n]) for n in range(40)])
    assert set(found.values()) <= {mine * 5000}
"""


def test_many_runs_at_once_and_one_killed(tmp_path: Path) -> None:
    """Writers side by side, one killed in the middle: no error, and what is found is whole."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    runs = [subprocess.Popen([*command, name]) for name in ("a", "b", "c", "killed")]
    runs[-1].kill()
    assert [run.wait() for run in runs[:-1]] == [0, 0, 0]
    runs[-1].wait()
    cache = Cache(tmp_path)
    found = cache.get([b"a" + bytes([n]) for n in range(40)])
    assert found
    assert set(found.values()) == {b"a" * 5000}


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    """A home that takes no cache costs the cache, not the run."""
    (tmp_path / "file").write_text("")
    of = project(1)
    assert text(of, Means(Cache(tmp_path / "file" / "below"))) == text(of, Means())


def test_where_caches_are(tmp_path: Path) -> None:
    """The variable wins, then the platform's place."""
    assert cache_folder({"RULEDEPLOY_CACHE_DIR": str(tmp_path)}) == tmp_path
    if sys.platform != "darwin":
        assert cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/ruledeploy")


def test_a_place_where_nothing_can_be_is_a_miss(tmp_path: Path) -> None:
    """One that the system will not even look at; and the one of a user without a home."""
    of = project(1)
    for place in (tmp_path / ("x" * 300), Path(os.devnull) / "ruledeploy"):
        assert text(of, Means(Cache(place))) == text(of, Means())


def test_a_user_without_a_home_has_a_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """One below which nothing can be made, so that nothing is kept."""

    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    folder = cache_folder({})
    assert Cache(folder).get([b"k"]) == {}
    Cache(folder).put({b"k": b"v"})
    assert not folder.exists()


def test_says_once_why_nothing_is_kept(tmp_path: Path) -> None:
    """Reading and writing fail for the same reason; a place without a cache yet is none."""
    remarks: list[str] = []
    fresh = Cache(tmp_path / "new", tell=remarks.append)
    assert fresh.get([b"k"]) == {}
    fresh.put({b"k": b"v"})
    assert fresh.get([b"k"]) == {b"k": b"v"}
    assert not remarks
    (tmp_path / "file").write_text("")
    nowhere = Cache(tmp_path / "file" / "below", tell=remarks.append)
    for _ in range(2):
        nowhere.put({b"k": b"v"})
        assert nowhere.get([b"k"]) == {}
    assert len(remarks) == 1
    assert str(nowhere.path) in remarks[0]


def test_a_table_of_another_program_is_made_anew(tmp_path: Path) -> None:
    """It is told, and the next run has a cache again."""
    remarks: list[str] = []
    cache = Cache(tmp_path, tell=remarks.append)
    cache.put({b"k": b"v"})
    _damage(cache.path, "other")
    cache.put({b"k": b"v"})
    assert len(remarks) == 1
    cache.put({b"k": b"v"})
    assert cache.get([b"k"]) == {b"k": b"v"}


def test_a_cache_that_another_run_holds_is_a_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is wrong with it, so nothing is said and nothing removed."""
    monkeypatch.setattr("ruledeploy.compile.cache._PATIENCE", 0.01)
    remarks: list[str] = []
    cache = Cache(tmp_path, tell=remarks.append)
    cache.put({b"k": b"v"})
    with sqlite3.connect(cache.path) as other:
        other.execute("BEGIN IMMEDIATE")
        cache.put({b"k": b"w"})
    other.close()
    assert cache.get([b"k"]) == {b"k": b"v"}
    assert not remarks


def test_another_run_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run keeps what it makes in many parts, and does not stand still at each."""
    monkeypatch.setattr("ruledeploy.compile.cache._PATIENCE", 0.5)
    cache = Cache(tmp_path)
    cache.put({b"k": b"v"})
    with sqlite3.connect(cache.path) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        for n in range(8):
            cache.put({bytes([n]): b"w"})
        assert 0.4 < time.monotonic() - began < 2
    other.close()
    cache.put({b"l": b"w"})
    assert cache.get([b"k", b"l"]) == {b"k": b"v", b"l": b"w"}


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """Even in a folder that others see: what is kept are rules, or events."""
    tmp_path.chmod(0o755)
    Cache(tmp_path, name="events").put({b"key": b"value"})
    made = [path for path in tmp_path.iterdir() if path.name.startswith("events.sqlite")]
    assert made
    assert not any(path.stat().st_mode & 0o077 for path in made)


def test_what_was_noted_today_is_not_noted_again(tmp_path: Path) -> None:
    """A run that finds everything writes nothing, and may run where nothing can be written."""
    Cache(tmp_path).put({b"k": b"v"})
    cache = Cache(tmp_path)
    with sqlite3.connect(cache.path) as db:
        db.execute("UPDATE entry SET used = 1")
    cache.get([b"k"])
    cache.put({}, [b"k"])
    assert db.execute("SELECT used FROM entry").fetchone()[0] > 1
    with sqlite3.connect(cache.path) as db:
        db.execute(
            "CREATE TRIGGER never BEFORE UPDATE ON entry BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
    db.close()
    remarks: list[str] = []
    again = Cache(tmp_path, tell=remarks.append)
    assert again.get([b"k"]) == {b"k": b"v"}
    again.put({}, [b"k"])
    assert not remarks
