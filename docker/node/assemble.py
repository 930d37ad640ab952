#!/usr/bin/env python3
"""Assembles an Elasticsearch node from Elastic's jars on Maven Central and prints its directory.

Needs `mvn` and a JDK (17 or newer); nothing outside Python's standard library. The result lies in
`<cache>/<hash of the inputs>/`, so a second run finds it and does nothing, an edit of an input
makes a new one, and two runs at once do not disturb each other. The jars are under Elastic's
licences and never become part of this repository.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "node"

# What the node is made of: the rest of this folder (image, documents) must not change the hash.
INPUTS = ("assemble.py", "pom.xml", "launcher", "config", "bin")

# Module → the jars it owns, as patterns over file names. Each module has a class loader of its own,
# so a jar that two modules need lies in both. Jars that no module names are the server's: lib/.
MODULES: dict[str, tuple[str, ...]] = {
    "transport-netty4": ("transport-netty4-*", "netty-*", "elasticsearch-ssl-config-*"),
    "x-pack-core": (
        "x-pack-core-*",
        "x-pack-template-resources-*",
        "unboundid-ldapsdk-*",
        "http*",
        "commons-*",
        "log4j-1.2-api-*",
        "log4j-slf4j2-impl-*",
        "slf4j-api-*",
        "elasticsearch-ssl-config-*",
    ),
    # ES|QL's comparisons use the Version class of mapper-version: without it some never answer.
    "x-pack-esql-core": ("x-pack-esql-core-*", "antlr4-runtime-*", "x-pack-mapper-version-*"),
    "x-pack-kql": ("x-pack-kql-*", "antlr4-runtime-*"),
    "x-pack-esql": (
        "x-pack-esql-[0-9]*",
        "x-pack-esql-compute-*",
        "elasticsearch-h3-*",
        "elasticsearch-dissect-*",
        "arrow*",
        "flatbuffers-java-*",
        "jackson-*",
        "x-pack-kql-*",
    ),
}

# Which modules a module extends, where the published line names modules not on Maven Central.
EXTENDS = {"x-pack-esql": "x-pack-esql-core,x-pack-core"}


class AssemblyError(Exception):
    """The node could not be assembled; the message says what to do."""


def input_hash() -> str:
    """The first 12 hex digits of a SHA-256 over the inputs' names and contents."""
    digest = hashlib.sha256()
    for name in INPUTS:
        top = HERE / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                content = path.read_bytes()
                digest.update(f"{path.relative_to(HERE).as_posix()}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()[:12]


def run(*command: str | Path) -> None:
    """Runs a program; raises AssemblyError, with its output, if it is absent or fails."""
    program = str(command[0])
    if shutil.which(program) is None:
        packages = "maven openjdk-17-jdk-headless"
        raise AssemblyError(f"{program} is not installed (Debian: apt-get install {packages})")
    done = subprocess.run(  # noqa: S603 -- fixed programs, arguments are our own paths
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssemblyError(f"{program} ended with code {done.returncode}:\n{done.stdout}")


def resolve_jars(target: Path) -> list[Path]:
    """Lets Maven copy the pom's jars into `target`; refuses jars whose checksum is wrong."""
    run(
        "mvn",
        "--batch-mode",
        "--quiet",
        "--strict-checksums",
        "--file",
        HERE / "pom.xml",
        "dependency:copy-dependencies",
        f"-DoutputDirectory={target}",
        "-DincludeScope=runtime",
    )
    return sorted(target.glob("*.jar"))


def descriptor(module: str, jars: list[Path]) -> str:
    """The module's plugin descriptor out of its own jar, less the lines that do not hold here.

    `modulename` is dropped so that the module loads from the class path: as a Java module it would
    need others that are not published.
    """
    name = f"META-INF/es-plugins/{module}/plugin-descriptor.properties"
    for jar in jars:
        with zipfile.ZipFile(jar) as archive:
            if name in archive.namelist():
                published = archive.read(name).decode().splitlines()
                break
    else:
        raise AssemblyError(f"no jar of module {module} holds {name}")
    dropped = ["#", "modulename="]
    added = []
    if module in EXTENDS:
        dropped.append("extended.plugins=")
        added.append(f"extended.plugins={EXTENDS[module]}")
    kept = [line for line in published if line.strip() and not line.startswith(tuple(dropped))]
    return "\n".join(kept + added) + "\n"


def lay_out(jars: list[Path], home: Path) -> None:
    """Puts each jar into the modules that own it, or lib/, and writes their descriptors."""
    lib = home / "lib"
    lib.mkdir()
    owned: set[Path] = set()
    for module, patterns in MODULES.items():
        mine = [jar for jar in jars if any(fnmatch(jar.name, pattern) for pattern in patterns)]
        unused = [p for p in patterns if not any(fnmatch(jar.name, p) for jar in mine)]
        if unused:
            raise AssemblyError(f"module {module}: no jar matches {', '.join(unused)}")
        directory = home / "modules" / module
        directory.mkdir(parents=True)
        for jar in mine:
            shutil.copy2(jar, directory)
        (directory / "plugin-descriptor.properties").write_text(descriptor(module, mine))
        owned.update(mine)
    for jar in jars:
        if jar not in owned:
            shutil.copy2(jar, lib)


def compile_launcher(work: Path, lib: Path) -> None:
    """Compiles the launcher against the server's jars into lib/launcher.jar."""
    classes = work / "classes"
    sources = sorted((HERE / "launcher").rglob("*.java"))
    run("javac", "--release", "17", "-cp", f"{lib}/*", "-d", classes, *sources)
    with zipfile.ZipFile(lib / "launcher.jar", "w") as archive:
        for path in sorted(classes.rglob("*.class")):
            archive.write(path, path.relative_to(classes).as_posix())


def assemble(cache: Path) -> Path:
    """The directory of the assembled node under `cache`, made if it is not there yet."""
    home = cache / input_hash()
    if home.is_dir():
        return home
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
        work = Path(scratch)
        draft = work / "node"
        draft.mkdir()
        lay_out(resolve_jars(work / "jars"), draft)
        compile_launcher(work, draft / "lib")
        shutil.copytree(HERE / "config", draft / "config")
        shutil.copytree(HERE / "bin", draft / "bin")
        try:
            # Last and atomic: a directory with the final name is always complete.
            draft.rename(home)
        except OSError:
            if not home.is_dir():  # otherwise another run was faster, with the same result
                raise
    return home


def main() -> int:
    """Prints the node's directory, alone on stdout."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    parser.add_argument("--hash", action="store_true", help="print the inputs' hash, make nothing")
    options = parser.parse_args()
    try:
        answer = input_hash() if options.hash else str(assemble(options.cache.resolve()))
    except AssemblyError as error:
        sys.stderr.write(f"assemble: {error}\n")
        return 1
    sys.stdout.write(f"{answer}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
