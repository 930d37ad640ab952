"""Keeping our credentials out of what a peer says: some answer with the request they refused."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from html.entities import codepoint2name

HIDDEN = "***"
# Shorter texts occur in any message; hiding them would only garble it.
_SHORTEST = 4
_SHORTEST_ENCODED = 6


def redactor(*secrets: str | None) -> Callable[[str], str]:
    """A function that hides these secrets in a text, however they are spelled there."""
    patterns = {one for secret in secrets if secret for one in _patterns(secret)}
    if not patterns:
        return lambda text: text
    # The longest first: a secret may begin like another.
    pattern = re.compile("|".join(sorted(patterns, key=len, reverse=True)), re.IGNORECASE)
    return lambda text: pattern.sub(HIDDEN, text)


def inner_secrets(api_key: str) -> Iterator[str]:
    """The secrets inside an encoded API key `base64(id:secret)`; the id alone is none."""
    yield api_key
    try:
        pair = base64.b64decode(api_key, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    yield pair
    yield pair.partition(":")[2]


def _patterns(secret: str) -> Iterator[str]:
    """Regular expressions of the secret: escaped in any way, in hexadecimal, in base64."""
    if len(secret) >= _SHORTEST:
        yield "".join(_letter(found[0]) for found in re.finditer(r"\\+|[^\\]", secret, re.DOTALL))
    data = secret.encode("utf-8", "surrogatepass")
    if len(data.hex()) >= _SHORTEST_ENCODED:
        yield data.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        texts = _base64(data, encode)
        yield from (re.escape(text) for text in texts if len(text) >= _SHORTEST_ENCODED)


# What one program escaped the next may escape again: backslashes pile up, `%` becomes `%25`, `&`
# becomes `&amp;`. Four times, and possessive, so that no text makes the search slow.
_BACKSLASHES, _PERCENT, _AMPERSAND = r"\\{0,15}+", "%(?:25){0,4}", "&(?:amp;){0,4}"
_SHORT_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}  # JSON's and Python's


def _letter(letter: str) -> str:
    """Every way to write one character, or one run of backslashes: JSON, Python, URLs, HTML."""
    run, letter = len(letter), letter[0]
    data = letter.encode("utf-8", "surrogatepass")
    units = letter.encode("utf-16-be", "surrogatepass").hex(" ", 2).split()
    named = codepoint2name.get(ord(letter))
    ways = [
        "".join(f"{_BACKSLASHES}u{unit}" for unit in units),
        "".join(f"{_BACKSLASHES}x{byte:02x}" for byte in data),
        f"{_BACKSLASHES}x{ord(letter):02x}",
        f"{_BACKSLASHES}U{ord(letter):08x}",
        "".join(f"{_PERCENT}{byte:02x}" for byte in data),
        f"{_AMPERSAND}#(?:0*{ord(letter)}|x0*{ord(letter):x});",
        *([f"{_AMPERSAND}{named};"] if named else []),
        *([r"\+"] if letter == " " else []),
        *([_BACKSLASHES + _SHORT_ESCAPES[letter]] if letter in _SHORT_ESCAPES else []),
    ]
    if letter == "\\":
        return rf"(?:(?:{'|'.join(ways)}){{{run}}}|\\{{{run},{16 * run}}}+)"
    return f"(?:{'|'.join(ways)}|{_BACKSLASHES}{re.escape(letter)})"


def _base64(data: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """What base64 makes of the bytes wherever they stand in a longer text.

    Three bytes become four letters, so there are three ways to be cut; the letters at the ends
    depend on the neighbours and are left out.
    """
    for before in range(3):
        letters = encode(b"\0" * before + data).decode().rstrip("=")
        first = (0, 2, 3)[before]
        last = len(letters) if (before + len(data)) % 3 == 0 else len(letters) - 1
        yield letters[first:last]
