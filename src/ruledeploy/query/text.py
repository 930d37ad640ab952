"""How Lucene sees text: Java's lower case, UTF-16 length, the standard analyzer's words."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

# The only character whose full lower case is longer than its simple one.
_DOTTED_I = "\u0130"


def lower(text: str) -> str:
    """Lower case per code point, as Java's `Character.toLowerCase`.

    `str.lower` differs in two places: it writes İ as two characters, and a final Σ as ς.
    """
    if text.isascii():
        return text.lower()
    return "".join("i" if char == _DOTTED_I else char.lower() for char in text)


def utf16_length(text: str) -> int:
    """Length in UTF-16 units, which is what `ignore_above` counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


# Word break classes of Unicode's annex 29, as far as the standard tokenizer keeps words.
_MID_LETTER = frozenset(":\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a")
_MID_NUM = frozenset(
    ",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b"
)
_MID_BOTH = frozenset("'.\u2018\u2019\u2024\ufe52\uff07\uff0e")
_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nl"})
_EXTEND = frozenset({"Mn", "Me", "Mc", "Cf"})
_MAX_TOKEN = 255
_FIRST_EMOJI = "\U0001f000"


@cache
def _kind(char: str) -> str:
    """The word break class of a character, as one letter; empty for what separates words.

    `a` letter, `n` digit, `_` connector, `e` extend, `1` a word by itself, `k` katakana, `s` South
    East Asian; `l` holds letters together, `d` digits, `b` both.
    """
    if char.isascii():
        if char.isalpha():
            return "a"
        if char.isdigit():
            return "n"
    if char == "_":
        return "_"
    for kind, members in (("l", _MID_LETTER), ("d", _MID_NUM), ("b", _MID_BOTH)):
        if char in members:
            return kind
    category = unicodedata.category(char)
    if category in _EXTEND:
        return "" if char == "\u200b" else "e"
    if category == "Pc":
        return "_"
    if category == "Nd":
        return "n"
    if category in _LETTERS:
        return _letter_kind(char)
    # Emoji are words of their own; symbols of the other blocks are not.
    return "1" if category == "So" and char >= _FIRST_EMOJI else ""


def _letter_kind(char: str) -> str:
    name = unicodedata.name(char, "")
    if name.startswith(("CJK ", "HIRAGANA ", "IDEOGRAPHIC ")):
        return "1"
    if name.startswith(("KATAKANA ", "HALFWIDTH KATAKANA ")):
        return "k"
    if name.startswith(("THAI ", "LAO ", "KHMER ", "MYANMAR ")):
        return "s"
    return "a"


def _joins(left: str, middle: str, right: str) -> bool:
    """Whether a middle character holds a word together between two others."""
    if middle in "lb" and left == right == "a":
        return True
    return middle in "db" and left == right == "n"


@lru_cache(maxsize=65536)
def words(text: str) -> tuple[str, ...]:
    """The standard analyzer's terms: words by Unicode's rules, lower-cased, at most 255 long."""
    kinds = [_kind(char) for char in text]
    out: list[str] = []
    at = 0
    while at < len(text):
        if kinds[at] not in ("a", "n", "_", "1", "k", "s"):
            at += 1
            continue
        end = _word_end(kinds, at)
        # A run of connectors alone is not a word.
        if any(kind in ("a", "n", "1", "k", "s") for kind in kinds[at:end]):
            word = lower(text[at:end])
            out.extend(word[n : n + _MAX_TOKEN] for n in range(0, len(word), _MAX_TOKEN))
        at = end
    return tuple(out)


def _word_end(kinds: list[str], start: int) -> int:
    """The index after the word that starts at `start`."""
    end, last = start + 1, kinds[start]
    while end < len(kinds):
        kind = kinds[end]
        if kind == "e":
            end += 1
        elif _sticks(last, kind):
            last, end = kind, end + 1
        elif kind and kind in "ldb" and end + 1 < len(kinds) and _joins(last, kind, kinds[end + 1]):
            last, end = kinds[end + 1], end + 2
        else:
            return end
    return end


def _sticks(last: str, kind: str) -> bool:
    """Whether two neighbouring classes belong to one word."""
    if last in "an_" and kind in ("a", "n", "_"):
        return True
    if last in "k_" and kind in ("k", "_"):
        return True
    return last == kind == "s"
