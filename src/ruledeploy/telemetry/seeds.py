"""Randomness by name: the same on every platform, whatever else has been drawn before."""

from __future__ import annotations

import hashlib
import random


def derived(*parts: object) -> bytes:
    """32 bytes that depend on the parts alone: equal on every platform and in every process."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()


def random_for(*parts: object) -> random.Random:
    """A generator of its own for the parts, so that no two consumers disturb one another.

    Callers draw integers only: floats would go through the platform's math library.
    """
    return random.Random(int.from_bytes(derived(*parts)[:8]))  # noqa: S311  # wanted: repeatable
