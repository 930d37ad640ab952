"""How a program takes its values from the cells of a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ruledeploy.engine.program import Program
from ruledeploy.engine.slots import Answer


class View:
    """One program's look at lines whose cells are of `roots`.

    This is the innermost loop of a run over files: most cells are strings that were seen before,
    or that none of the texts asked for equals.
    """

    def __init__(self, program: Program, roots: Sequence[str]) -> None:
        self._program = program
        self._reader = program.reader
        mine = self._reader.names
        below = {root for root in roots if any(name.startswith(f"{root}.") for name in mine)}
        found = [(at, root, program.tests(root)) for at, root in enumerate(roots)]
        plain = [
            (at, root, tests)
            for at, root, tests in found
            if tests is not None and root not in below and self._reader.is_plain(root)
        ]
        self._equal = [(at, root, t, t.texts) for at, root, t in plain if t.texts is not None]
        self._lone = [(at, root, t, t.known) for at, root, t in plain if t.texts is None]
        lone = {root for _, root, _ in plain}
        self._deep = [
            (at, root)
            for at, root in enumerate(roots)
            if root not in lone and (root in below or root in mine)
        ]

    def answers(self, cells: Sequence[Any]) -> list[Answer]:
        """What the cells give."""
        out: list[Answer] = []
        for at, root, tests, texts in self._equal:
            cell = cells[at]
            if cell.__class__ is str:
                if not cell.isascii() or cell.lower() in texts:
                    out.append(tests.answer(cell))
            elif cell is not None:
                out += self._program.answers_at(root, cell)
        for at, root, tests, known in self._lone:
            cell = cells[at]
            if cell.__class__ is list and len(cell) == 1:
                cell = cell[0]
            if cell.__class__ is str:
                answer = known(cell) or tests.answer(cell)
                if answer.numbers:
                    out.append(answer)
            elif cell is not None:
                out += self._program.answers_at(root, cell)
        for at, root in self._deep:
            if cells[at] is not None:
                out += self._program.answers_at(root, cells[at])
        return out
