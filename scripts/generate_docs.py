"""Writes the pages of docs/reference/ from the code, so that they cannot lie.

`make docs` writes them; a test fails when a page differs from what this would write.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ruledeploy.cli.app import COMMANDS
from ruledeploy.cli.exits import EXITS
from ruledeploy.fields import FAMILIES, load_table
from ruledeploy.report.schemas import VERSIONS, output_schema

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
NOTE = "<!-- Written by scripts/generate_docs.py; change the code, then run `make docs`. -->\n"
EXIT_CODES = ROOT / "docs" / "exit-codes.md"
# What follows this line of a page that a person wrote is written here.
BELOW = "<!-- Written by scripts/generate_docs.py from cli/exits.py. -->\n"
# Commands that hold commands of their own.
GROUPS = {
    "stack": ("up", "down", "status", "reset", "logs"),
    "fields": ("pull",),
    "env": ("list",),
}


def pages() -> dict[Path, str]:
    """Every generated page by its path."""
    return {
        REFERENCE / "cli.md": cli_page(),
        REFERENCE / "fields.md": fields_page(),
        REFERENCE / "outputs.md": outputs_page(),
        EXIT_CODES: exit_codes_page(),
    }


def cli_page() -> str:
    """What `--help` says of every command."""
    parts = [NOTE, "# Commands\n", _help()]
    for name in COMMANDS:
        parts += [f"\n## ruledeploy {name}\n", _help(name)]
        for inner in GROUPS.get(name, ()):
            parts += [f"\n### ruledeploy {name} {inner}\n", _help(name, inner)]
    return "\n".join(parts)


def _help(*command: str) -> str:
    done = subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-c", "from ruledeploy.cli import main; main()", *command, "--help"],
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.rstrip() for line in done.stdout.strip().splitlines())
    return "```text\n" + "\n".join(lines) + "\n```"


def fields_page() -> str:
    """The telemetry families, and how many fields of which kind each knows."""
    rows = ["| family | index pattern | fields | with a lower-cased sibling |", "|---|---|---|---|"]
    for family in FAMILIES:
        table = load_table(family)
        caseless = sum(table.caseless(name) is not None for name in table.fields)
        rows.append(f"| `{family}` | `{table.index}` | {len(table.fields)} | {caseless} |")
    about = (
        "One telemetry family is one set of mappings. A rule or an allowlist item may only name\n"
        "fields of its family's table: on any other field it would silently never match.\n"
    )
    return "\n".join([NOTE, "# Telemetry families\n", about, *rows, ""])


def outputs_page() -> str:
    """The forms of `--json` that have a schema: their versions and their keys."""
    about = (
        "What programs read has a JSON Schema, which comes with the program:\n"
        "`ruledeploy schema NAME` prints it. The key `schema` is its version. The schemas allow\n"
        "no other keys, so a key that comes, goes or changes makes a new version.\n"
    )
    parts = [NOTE, "# Output for programs\n", about]
    for name, version in VERSIONS.items():
        schema = output_schema(name)
        parts.append(f"## {name}, version {version}\n")
        parts.append(f"`{schema['title']}`. {schema['description']}\n")
        parts += ["| key | always there | what |", "|---|---|---|"]
        for key, one in schema["properties"].items():
            always = "yes" if key in schema["required"] else "no"
            parts.append(f"| `{key}` | {always} | {one.get('description', '')} |")
        parts.append("")
    return "\n".join(parts)


def exit_codes_page() -> str:
    """The codes by command, below what the page says of each code."""
    written, _, _ = EXIT_CODES.read_text("utf-8").partition(BELOW)
    rows = ["| command | exits | when |", "|---|---|---|"]
    for name, codes in EXITS.items():
        rows += [f"| `{name}` | {code} | {why} |" for code, why in codes.items()]
    return written + BELOW + "\n".join(rows) + "\n"


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
