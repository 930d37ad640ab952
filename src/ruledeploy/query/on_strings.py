"""What a leaf asks of a keyword, or of one like it; and of a text, word by word."""

from __future__ import annotations

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.fields import FieldType
from ruledeploy.query import glob
from ruledeploy.query.ir import AnyOf, Glob, Match, Matcher, Phrase, Prefix, Range, Regexp, Term
from ruledeploy.query.kinds import (
    NOTHING,
    Dropped,
    Each,
    Equal,
    Meaning,
    Whole,
    as_query_text,
    between,
)
from ruledeploy.query.literals import (
    Anchored,
    needle_of_glob,
    needle_of_regexp,
    texts_of_glob,
    texts_of_regexp,
)
from ruledeploy.query.regexp import check_length, compile_regexp, parse_regexp
from ruledeploy.query.terms import KEYED, normalize
from ruledeploy.query.text import lower, words

_PLAIN = FieldType("keyword")
_MAX_AUTOMATON = 1_000


def on_string(matcher: Matcher, type_: FieldType) -> Meaning:
    """A question to a field whose terms are whole strings."""
    match matcher:
        case Glob() | Regexp() if type_.type == KEYED:
            # query_string would match the pattern against every key and value of the field.
            raise UnsupportedQuery("a pattern on a key of a flattened field")
        case Range(low, high) if type_.type == KEYED and None in (low, high):
            raise QueryError("a range on a key of a flattened field needs both bounds")
        case Term(value, True):
            wanted = _ascii_lower(normalize(as_query_text(value), type_))
            whole = Anchored(lower(wanted), starts=True, ends=True, fold=True)
            return Each(lambda term: _ascii_lower(term) == wanted, whole.text, whole)
        case Match(value) | Phrase(value) | Term(value):
            return Equal(frozenset({normalize(as_query_text(value), type_)}))
        case AnyOf(values):
            return Equal(frozenset(normalize(as_query_text(value), type_) for value in values))
        case Prefix(value, fold):
            return _prefix(normalize(value, type_), fold=fold)
        case Glob(pattern, fold):
            return _glob(pattern, fold=fold, lowered=type_.normalizer == "lowercase")
        case Regexp(pattern, fold):
            return _regexp(normalize(pattern, type_), fold=fold)
        case Range(lower_, upper):
            low, high = (
                None if bound is None else normalize(as_query_text(bound), type_)
                for bound in (lower_, upper)
            )
            return _interval(low, high, matcher)
        case _:
            raise QueryError(f"{type(matcher).__name__} on a {type_.type}")


def _ascii_lower(text: str) -> str:
    return (
        text.lower()
        if text.isascii()
        else "".join(char.lower() if char.isascii() else char for char in text)
    )


def _limited(length: int) -> None:
    """Lucene builds no automaton longer than this: the search fails."""
    if length > _MAX_AUTOMATON:
        raise QueryError(f"a pattern or bound is longer than {_MAX_AUTOMATON}")


def _interval(low: str | None, high: str | None, bounds: Range) -> Each:
    """A range of terms; one that is empty, or holds one term at most, takes no automaton."""
    if low is not None and (high is None or low < high):
        _limited(len(low.encode("utf-8", "surrogatepass")))
    return between(low, high, bounds)


def _prefix(prefix: str, *, fold: bool) -> Each:
    _limited(len(prefix.encode("utf-8", "surrogatepass")))
    if fold:
        wanted = _ascii_lower(prefix)
        head = Anchored(lower(prefix), starts=True, ends=False, fold=True)
        return Each(lambda term: _ascii_lower(term).startswith(wanted), head.text, head)
    head = Anchored(lower(prefix), starts=True, ends=False, fold=False)
    is_lower = head.text == prefix
    return Each(lambda term: term.startswith(prefix), head.text, head if is_lower else None)


def _glob(pattern: str, *, fold: bool, lowered: bool) -> Meaning:
    """A pattern on one term; stars alone fit any term there is."""
    if lowered:
        pattern = _lower_literals(pattern)
    pieces = glob.parts(pattern)
    if not pieces:
        return NOTHING  # not even the empty string, as Lucene has it
    if any(wild for _, wild in pieces):
        _limited(sum(len(text) for text, _ in pieces))
    exact = glob.compile_glob(pattern, fold=fold)
    texts = texts_of_glob(pattern, fold=fold)
    if texts is None:
        return Each(exact, needle_of_glob(pattern))
    return Each(texts.tester(exact) if fold else exact, texts.longest, texts.anchored)


def _lower_literals(pattern: str) -> str:
    """The pattern with its literal parts lower-cased, escaped characters included."""
    return "".join(text if wild else glob.escape(lower(text)) for text, wild in glob.parts(pattern))


def _regexp(pattern: str, *, fold: bool) -> Each:
    """A regular expression; the automaton of one that is but texts is built when it is needed."""
    check_length(pattern)
    texts = texts_of_regexp(pattern, fold=fold)
    if texts is None:
        needle = needle_of_regexp(parse_regexp(pattern, fold=fold))
        return Each(compile_regexp(pattern, fold=fold), needle)

    def exact(term: str) -> bool:
        return compile_regexp(pattern, fold=fold)(term)

    test = texts.tester(exact)
    return Each(test, texts.longest, texts.anchored)


def on_text(matcher: Matcher) -> Meaning:
    """Questions to a text field: its terms are the words of each value."""
    match matcher:
        case Match(value, every):
            wanted = words(as_query_text(value))
            return _all_words(wanted) if every else _any_word(wanted)
        case Phrase(value):
            return _phrase(words(as_query_text(value)))
        case Prefix(value, fold, True):
            return _word_prefix(words(value), fold=fold)
        case Glob(pattern, fold, analysed):
            return _over_words(_glob(pattern, fold=fold, lowered=analysed))
        case Regexp(pattern, fold):
            return _over_words(_regexp(pattern, fold=fold))
        case Range(low, high, analysed=True):
            lows, highs = (None if b is None else lower(as_query_text(b)) for b in (low, high))
            return _over_words(_interval(lows, highs, matcher))
        case _:
            return _over_words(on_string(matcher, _PLAIN))


def _over_words(inner: Meaning) -> Meaning:
    """A question about one term, asked of each word."""
    match inner:
        case Equal(wanted):
            return Whole(lambda terms: not all(wanted.isdisjoint(value) for value in terms))
        case Each(test):
            return Whole(lambda terms: any(test(word) for value in terms for word in value))
        case _:
            return inner


def _any_word(wanted: tuple[str, ...]) -> Meaning:
    return _over_words(Equal(frozenset(wanted))) if wanted else Dropped()


def _all_words(wanted: tuple[str, ...]) -> Meaning:
    if not wanted:
        return Dropped()
    needed = frozenset(wanted)
    return Whole(lambda terms: needed <= frozenset[str]().union(*terms))


def _phrase(wanted: tuple[str, ...]) -> Meaning:
    """Consecutive words of one value: between values lies a gap of 100 positions."""
    size = len(wanted)
    if size <= 1:
        return _any_word(wanted)

    def has(value: tuple[str, ...]) -> bool:
        return any(value[n : n + size] == wanted for n in range(len(value) - size + 1))

    return Whole(lambda terms: any(map(has, terms)))


def _word_prefix(wanted: tuple[str, ...], *, fold: bool) -> Meaning:
    """A prefix of several words: any of the words, or a word that starts as the last one."""
    if not wanted:
        return Dropped()
    last = _prefix(wanted[-1], fold=fold)
    exact = frozenset(wanted[:-1])
    return _over_words(Each(lambda word: word in exact or last.test(word)))
