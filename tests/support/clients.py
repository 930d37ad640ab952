"""Third-party clients of Kibana's detection API, each in a venv of its own, made on demand.

A client comes unmodified from the package index, in the versions that
tests/clients/requirements/<name>.txt pins by hash, and stays in .cache/clients/ until that file
changes. Some need a newer Python than the tests: any that this machine has will do.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "clients"
REQUIREMENTS = ROOT / "tests" / "clients" / "requirements"
INSTALL_SECONDS = 600
RUN_SECONDS = 120

Version = tuple[int, ...]


class ClientUnavailable(Exception):
    """A client cannot be had here; the message says why and what was tried."""


@dataclass(frozen=True, slots=True)
class Client:
    """An installed client: the folder of its venv's programs, and a home directory for it."""

    name: str
    programs: Path
    home: Path

    def run(
        self,
        program: str,
        *arguments: str,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one of its programs as a user would, with nothing of this process' environment."""
        return subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=cwd,
            env={
                "PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8",
                "NO_COLOR": "1", "COLUMNS": "200", **(env or {}),
            },
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )  # fmt: skip


Install = Callable[[str, Version], Client]


def install(name: str, minimum: Version) -> Client:
    """The client of that name, installed now unless it was before.

    `minimum` is the oldest Python its packages take. Raises `ClientUnavailable`.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    venv = CACHE / f"{name}-{digest}"
    home = CACHE / f"{name}-home"
    home.mkdir(parents=True, exist_ok=True)
    with _alone(name):
        if not (venv / "installed").exists():
            shutil.rmtree(venv, ignore_errors=True)
            _install(venv, requirements, python(minimum))
            (venv / "installed").touch()
    return Client(name, venv / "bin", home)


def _install(venv: Path, requirements: Path, interpreter: str) -> None:
    pip = ["-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--require-hashes"]
    for command in (
        [interpreter, "-m", "venv", str(venv)],
        [str(venv / "bin" / "python"), *pip, "-r", str(requirements)],
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise ClientUnavailable(f"`{' '.join(command[:4])} …` failed: {' '.join(last)}")


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Two test runs beside each other install a client once."""
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def python(minimum: Version) -> str:
    """A Python of at least that version: this one, one on PATH, pyenv's, uv's."""
    if sys.version_info[: len(minimum)] >= minimum:
        return sys.executable
    tried = []
    for candidate in _candidates(minimum):
        found = _version(candidate)
        if found is not None and found[: len(minimum)] >= minimum:
            return candidate
        tried.append(candidate)
    wanted = ".".join(map(str, minimum))
    raise ClientUnavailable(f"needs Python {wanted} or newer; tried {sys.executable}, "
                            f"{', '.join(tried) or 'no other was found'}")  # fmt: skip


def _candidates(minimum: Version) -> Iterator[str]:
    for minor in range(15, 10, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob("versions/3.*/bin/python")))
    if shutil.which("uv"):
        wanted = ".".join(map(str, minimum))
        done = subprocess.run(
            ["uv", "python", "find", "--no-python-downloads", f">={wanted}"],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            yield done.stdout.strip()


def _version(candidate: str) -> Version | None:
    try:
        done = subprocess.run(
            [candidate, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except OSError:
        return None
    match = re.fullmatch(r"Python (\d+)\.(\d+)\.(\d+)\s*", done.stdout)
    return tuple(map(int, match.groups())) if match and done.returncode == 0 else None
