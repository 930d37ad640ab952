"""The garbage collector at rest, or nearly, while a great many objects are made that stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Objects made before the youngest are looked through; Python's own figure is 700.
_MANY = 50_000


@contextmanager
def resting() -> Iterator[None]:
    """Collect nothing in the block: there it would look at all that was made, again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def dozing() -> Iterator[None]:
    """Collect seldom in the block, which may be long: it makes little garbage."""
    before = gc.get_threshold()
    if 0 < before[0] < _MANY:
        gc.set_threshold(_MANY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
