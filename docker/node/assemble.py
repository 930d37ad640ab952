#!/usr/bin/env python3
"""Assembles an Elasticsearch node from the jars that Elastic publishes on Maven Central, and prints its directory.

Needs `mvn` and a JDK (17 or newer); nothing outside Python's standard library. The result lies in
`<cache>/<hash of this folder's inputs>/`, so a second run finds it and does nothing, an edit of an input makes a new one,
and two runs at once do not disturb each other. The jars are under Elastic's licences and are never part of this repository.
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

# What ends up in the node: everything else in this folder (image, documents) must not change the hash.
INPUTS = ("assemble.py", "pom.xml", "launcher", "config", "bin")

# Module → the jars it owns, as patterns over file names. Each module has a class loader of its own, so a jar that two
# modules need lies in both. Jars that no module names belong to the server and go to lib/.
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
    # The Version class of mapper-version is used by ES|QL's comparisons: without it some queries never answer.
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

# Lines of the published descriptors that do not hold here: as published they name modules that are not on Maven Central.
EXTENDS = {"x-pack-esql": "x-pack-esql-core,x-pack-core"}


class AssemblyError(Exception):
    """The node could not be assembled; the message says what to do."""


def input_hash() -> str:
    """The first 12 hex digits of a SHA-256 over names and contents of the inputs."""
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
    """Runs a program; raises AssemblyError, with what the program printed, if it is absent or fails."""
    program = str(command[0])
    if shutil.which(program) is None:
        message = f"{program} is not installed (Debian: apt-get install maven openjdk-17-jdk-headless)"
        raise AssemblyError(message)
    done = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise AssemblyError(f"{program} ended with code {done.returncode}:\n{done.stdout}")


def resolve_jars(target: Path) -> list[Path]:
    """Lets Maven copy the pom's jars into `target`; refuses jars whose checksum is wrong."""
    run(
        "mvn", "--batch-mode", "--quiet", "--strict-checksums", "-Dstyle.color=never",
        "-f", HERE / "pom.xml", "dependency:copy-dependencies",
        f"-DoutputDirectory={target}", "-DincludeScope=runtime",
    )  # fmt: skip
    return sorted(target.glob("*.jar"))


def descriptor(module: str, jars: list[Path]) -> str:
    """The module's plugin descriptor from its own jar, with the lines that do not hold here replaced.

    `modulename` is dropped so that the module loads from the class path: the Java modules it would need are not all there.
    """
    name = f"META-INF/es-plugins/{module}/plugin-descriptor.properties"
    for jar in jars:
        with zipfile.ZipFile(jar) as archive:
            if name in archive.namelist():
                published = archive.read(name).decode().splitlines()
                break
    else:
        raise AssemblyError(f"no jar of module {module} holds {name}")
    lines = [line for line in published if line.strip() and not line.startswith(("#", "modulename="))]
    if module in EXTENDS:
        lines = [line for line in lines if not line.startswith("extended.plugins=")]
        lines.append(f"extended.plugins={EXTENDS[module]}")
    return "\n".join(lines) + "\n"


def lay_out(jars: list[Path], home: Path) -> None:
    """Puts each jar into the modules that own it, or into lib/, and writes the modules' descriptors."""
    lib = home / "lib"
    lib.mkdir()
    owned: set[Path] = set()
    for module, patterns in MODULES.items():
        mine = [jar for jar in jars if any(fnmatch(jar.name, pattern) for pattern in patterns)]
        unused = [p for p in patterns if not any(fnmatch(jar.name, p) for jar in mine)]
        if unused:
            raise AssemblyError(f"module {module}: no jar matches {', '.join(unused)}; see MODULES and pom.xml")
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
            # The last step and an atomic one: a directory with the final name is always complete.
            draft.rename(home)
        except OSError:
            if not home.is_dir():  # otherwise another run was faster, and its result is the same
                raise
    return home


def main() -> int:
    """Command line: prints the node's directory, alone on stdout."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE, help="where nodes are kept (default: %(default)s)")
    parser.add_argument("--hash", action="store_true", help="print only the hash of the inputs; make nothing")
    options = parser.parse_args()
    if options.hash:
        print(input_hash())
        return 0
    try:
        print(assemble(options.cache.resolve()))
    except AssemblyError as error:
        print(f"assemble: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
