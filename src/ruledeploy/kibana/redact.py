"""Keeping our credentials out of what a peer says: some answer with the request they refused."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

HIDDEN = "***"
# Shorter texts occur in any message; hiding them would only garble it.
_SHORTEST = 4
_SHORTEST_ENCODED = 6


def redactor(*secrets: str | None) -> Callable[[str], str]:
    """A function that hides these secrets in a text, however they are spelled there."""
    spellings = {text for secret in secrets if secret for text in _spellings(secret)}
    if not spellings:
        return lambda text: text
    # The longest first: a secret may begin like another.
    longest = sorted(spellings, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(text) for text in longest), re.IGNORECASE)
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


def _spellings(secret: str) -> Iterator[str]:
    """The secret as JSON, Python, URLs, HTML and base64 write it."""
    plain = (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    )
    yield from (text for text in plain if len(text) >= _SHORTEST)
    data = secret.encode("utf-8", "surrogatepass")
    yield data.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield from (text for text in _base64(data, encode) if len(text) >= _SHORTEST_ENCODED)


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
