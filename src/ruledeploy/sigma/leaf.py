"""From a rule's comparison to a form: the field's type decides what can be asked.

Letter case: Sigma ignores it, keywords keep it. A vocabulary that the producer fixes is compared
as it is; a lower-cased sibling takes the lower-cased value; elsewhere the query folds.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
)

from ruledeploy.errors import Location, RuleError
from ruledeploy.fields import PRODUCER_FIXED, FieldTable, FieldType
from ruledeploy.model import Finding
from ruledeploy.sigma.forms import (
    AllOf,
    AnyOf,
    Compare,
    Exact,
    Exists,
    Fields,
    Form,
    Network,
    Never,
    Not,
    Regex,
    Side,
    Value,
    Words,
)
from ruledeploy.sigma.match import Pattern, Wildcard
from ruledeploy.sigma.regex import RegexUnsupported, has_case, translate
from ruledeploy.sigma.selection import to_pattern
from ruledeploy.sigma.tree import TwoFields
from ruledeploy.sigma.tree import Value as Asked

_WHOLE = frozenset({"long", "integer", "short", "byte", "unsigned_long"})
_NUMBERS = _WHOLE | {"double", "float", "half_float", "scaled_float"}
_TEXTS = frozenset({"text", "match_only_text"})
_KEYWORDS = frozenset({"keyword", "wildcard", "constant_keyword", "version", "flattened"})
# ECS says of these that they are arrays; other fields hold one value as a rule.
_ARRAYS = frozenset(
    {
        "dns.answers.data",
        "dns.answers.name",
        "dns.header_flags",
        "dns.resolved_ip",
        "dns.type",
        "event.category",
        "event.type",
        "file.attributes",
        "host.ip",
        "host.mac",
        "process.Ext.api.behaviors",
        "process.args",
        "process.parent.args",
        "registry.data.strings",
        "related.hash",
        "related.hosts",
        "related.ip",
        "related.user",
        "tags",
        "threat.technique.id",
        "user.roles",
        "winlog.keywords",
    }
)
# A whole number has at most 19; of 19 not all are below 2**63.
_MOST_DIGITS = 19
# Where keywords without a field are searched.
KEYWORDS = "message"


@dataclass(frozen=True, slots=True)
class LeafReader:
    """Reads comparisons against one field table; what is doubtful goes to `report`."""

    table: FieldTable
    report: Callable[[Finding], None]

    def read(self, field: str, values: Sequence[Asked], place: Location) -> list[Form]:
        """The form of `field = value` for each value.

        Raises `RuleError` for what no language of ours can ask.
        """
        name = self.table.resolve(field)
        type_ = self._type(name, place)
        return [self._form(name, type_, value, place) for value in values]

    def _form(self, name: str, type_: FieldType, value: Asked, place: Location) -> Form:
        match value:
            case Pattern():
                return self._value(name, type_, value, place)
            case SigmaString():
                cased = isinstance(value, SigmaCasedString)
                return self._value(name, type_, to_pattern(value), place, cased=cased)
            case SigmaExpansion():
                return AnyOf(tuple(self._form(name, type_, each, place) for each in value.values))
            case SigmaNull():
                return Not(Exists(name))
            case SigmaExists():
                return Exists(name) if value.exists else Not(Exists(name))
            case TwoFields():
                left, right = self._side(value.left, place), self._side(value.right, place)
                return Fields(left, right, value.starts, value.ends)
            case SigmaTimestampPart():
                raise RuleError("parts of a time cannot be asked for", location=place)
            case SigmaCIDRExpression():
                return self._network(name, type_, value, place)
            case SigmaCompareExpression():
                return self._compare(name, type_, value, place)
            case SigmaRegularExpression():
                return self._regex(name, type_, value, place)
            case SigmaBool():
                text = "true" if value.boolean else "false"
                return self._value(name, type_, Pattern((text,)), place)
            case SigmaNumber():
                return self._value(name, type_, Pattern((str(value.number),)), place)
        raise RuleError(f"{type(value).__name__} cannot be converted", location=place)

    def keyword(self, value: Asked, place: Location) -> Form:
        """A keyword without a field: it is searched in `message`, anywhere."""
        text = "keywords without a field are searched in `message` alone"
        self._warn("keyword-search", text, place, "name the field")
        if isinstance(value, SigmaString):
            pattern = to_pattern(value)
            wrapped = Pattern(_merge((Wildcard.ANY, *pattern.parts, Wildcard.ANY)))
            return self._value(KEYWORDS, self._type(KEYWORDS, place), wrapped, place)
        if isinstance(value, SigmaNumber):
            wrapped = Pattern((Wildcard.ANY, str(value.number), Wildcard.ANY))
            return self._value(KEYWORDS, self._type(KEYWORDS, place), wrapped, place)
        return self.read(KEYWORDS, (value,), place)[0]

    # ------------------------------------------------------------------------------ fields

    def absent(self, field: str, place: Location) -> str | None:
        """The field's name in the family if no event can have a value in it; else None."""
        name = self.table.resolve(field)
        if not self.table.lacks(name):
            return None
        self._type(name, place)
        return name

    def _side(self, names: tuple[str, ...], place: Location) -> Side:
        found = tuple(map(self.table.resolve, names))
        types = {self._type(name, place).type for name in found}
        return Side(found, types <= _KEYWORDS | _TEXTS)

    def _type(self, name: str, place: Location) -> FieldType:
        found = self.table.get(name)
        nested = self.table.nested_path(name)
        if found is not None and nested is None and found.searchable:
            return found
        if nested is not None:
            message = f"{name} lies in the nested `{nested}`, which rules cannot see"
            self._warn("nested-field", message, place, "use another field")
        elif found is None:
            found = self._flattened(name)
            if found is None:
                self._unmapped(name, place)
        else:
            message = f"{name} is stored but not indexed: it never matches, its NOT always"
            self._warn("not-searchable", message, place, "use another field")
        return found or FieldType("keyword")

    def _unmapped(self, name: str, place: Location) -> None:
        family = self.table.family
        message = f"{name} is not a field of {family}: it never matches, its NOT always"
        if not self.table.lacks(name):
            message = f"{name} is no field of {family}; it is taken as a keyword of your indices"
        self._warn("unmapped-field", message, place, "check the spelling")

    def _flattened(self, name: str) -> FieldType | None:
        parts = name.split(".")
        above = (".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1))
        found = (self.table.fields.get(each) for each in above)
        return next((each for each in found if each and each.type == "flattened"), None)

    def _warn(self, code: str, message: str, place: Location, hint: str | None = None) -> None:
        self.report(Finding("warning", code, message, place, hint))

    # ------------------------------------------------------------------------------ values

    def _value(
        self, name: str, type_: FieldType, pattern: Pattern, place: Location, *, cased: bool = False
    ) -> Form:
        if pattern.matches_anything:
            return Exists(name)
        if type_.type in _KEYWORDS:
            return self._keyword(name, type_, pattern, cased=cased)
        if type_.type in _TEXTS:
            return Words(name, pattern)
        if type_.type == "ip":
            return self._address(name, pattern, place)
        if pattern.plain is None and type_.type in _WHOLE and (spans := _spans(pattern)):
            return AnyOf(tuple(_between(name, low, high) for low, high in spans))
        if pattern.plain is None:
            message = f"{name} is {_article(type_.type)}: it has no wildcards"
            raise RuleError(message, location=place, hint="give whole values, or a range")
        return self._typed(name, type_.type, pattern.plain, place)

    def _keyword(self, name: str, type_: FieldType, pattern: Pattern, *, cased: bool) -> Form:
        array = name in _ARRAYS
        if type_.normalizer == "lowercase":
            return Value(name, pattern.lowered(), array=array)
        if cased or name in PRODUCER_FIXED or not has_case(pattern.literal):
            return Value(name, pattern, array=array)
        sibling = self.table.caseless(name)
        if sibling is not None and not self._truncates(type_, sibling):
            return Value(sibling, pattern.lowered(), array=array)
        return Value(name, pattern, fold=True, array=array)

    def _truncates(self, type_: FieldType, sibling: str) -> bool:
        """Whether long values are searchable in the field but dropped from its sibling.

        Elastic Defend's command lines: padded past 1,024 characters they would be invisible.
        """
        found = self.table.get(sibling)
        limit = found.ignore_above if found else None
        return limit is not None and (type_.ignore_above is None or type_.ignore_above > limit)

    def _typed(self, name: str, type_: str, text: str, place: Location) -> Form:
        low = text.strip().lower()
        if type_ == "boolean" and low in {"true", "false"}:
            return Exact(name, low, quoted=False)
        if type_ in _NUMBERS and _is_number(low, whole=type_ in _WHOLE):
            return Exact(name, low, quoted=False)
        if type_ == "date" and low[:4].isdigit():
            return Exact(name, text.strip(), quoted=True)
        message = f"{name} is {_article(type_)}: it never holds {text!r}"
        self._warn("type-mismatch", message, place)
        return Never()

    def _address(self, name: str, pattern: Pattern, place: Location) -> Form:
        network = _network_of(pattern)
        if network is not None:
            return Network(name, network)
        text = pattern.plain
        if text is None:
            message = f"{name} is an IP address: this wildcard is not a network"
            raise RuleError(message, location=place, hint=f"{name}|cidr: 10.0.0.0/8")
        if _is_address(text):
            return Exact(name, text, quoted=True)
        self._warn("type-mismatch", f"{name} is an IP address: it never holds {text!r}", place)
        return Never()

    def _network(
        self, name: str, type_: FieldType, value: SigmaCIDRExpression, place: Location
    ) -> Form:
        known = self.table.get(name) is not None
        if type_.type == "ip" or not known:
            return Network(name, value.cidr, converted=not known)
        if type_.type not in _KEYWORDS:
            message = f"{name} is {_article(type_.type)}, not an IP address"
            raise RuleError(message, location=place, hint="`cidr` needs an address field")
        message = f"{name} is a keyword: Lucene finds the usual spellings of {value.cidr} only"
        self._warn("address-as-text", message, place, "language: esql")
        texts = tuple(Pattern(_parts(text)) for text in value.expand(wildcard="*"))
        return Network(name, value.cidr, converted=True, texts=texts)

    def _compare(
        self, name: str, type_: FieldType, value: SigmaCompareExpression, place: Location
    ) -> Form:
        operator = value.op.name
        signs = {"LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
        if operator not in signs:
            raise RuleError(f"the comparison {operator} is not supported", location=place)
        if type_.type in _NUMBERS or self.table.get(name) is None:
            return Compare(name, signs[operator], str(value.number))
        message = f"{name} is {_article(type_.type)}: numbers in it are not compared as numbers"
        raise RuleError(message, location=place, hint="list the values")

    def _regex(
        self, name: str, type_: FieldType, value: SigmaRegularExpression, place: Location
    ) -> Form:
        if type_.type not in _KEYWORDS | _TEXTS:
            message = f"{name} is {_article(type_.type)}: it has no regular expressions"
            raise RuleError(message, location=place)
        flags = [value.sigma_to_re_flag[flag] for flag in value.flags]
        text = value.regexp.to_plain_regex()
        if type_.normalizer == "lowercase":
            flags = ["i"]
        try:
            made = translate(text, flags)
        except RegexUnsupported as unsupported:
            raise RuleError(
                f"Lucene's regular expressions cannot say this: {unsupported}",
                location=place,
                hint="write it with contains, startswith or endswith",
            ) from unsupported
        if made.widened:
            counts = ", ".join(made.widened)
            message = f"too complex for Elasticsearch with {counts}, which stand without their end"
            self._warn("wider-pattern", message, place, "shorter counts")
        return Regex(name, made.regex, wider=bool(made.widened))


def negate(form: Form) -> Form:
    """The opposite of a form."""
    return form.form if isinstance(form, Not) else Not(form)


def _article(type_: str) -> str:
    return f"{'an' if type_[0] in 'aeiou' else 'a'} {type_}"


def _merge(parts: tuple[str | Wildcard, ...]) -> tuple[str | Wildcard, ...]:
    out: list[str | Wildcard] = []
    for part in parts:
        if not (part is Wildcard.ANY and out and out[-1] is Wildcard.ANY):
            out.append(part)
    return tuple(out)


def _parts(text: str) -> tuple[str | Wildcard, ...]:
    """A text that may end in a star."""
    plain = text.removesuffix("*")
    return (plain, Wildcard.ANY) if plain != text else (text,)


def _spans(pattern: Pattern) -> list[tuple[int, int]]:
    """The whole numbers that begin with some digits (`40*`), as ranges, or have so many (`4??`)."""
    match pattern.parts:
        case (str(digits), Wildcard.ANY):
            more: Sequence[int] = range(_MOST_DIGITS - len(digits))
        case (str(digits), *wild) if all(each is Wildcard.ONE for each in wild):
            more = (len(wild),)
        case _:
            return []
    if not (digits.isascii() and digits.isdigit()) or digits.startswith("0"):
        return []
    first = int(digits)
    return [(first * 10**count, (first + 1) * 10**count - 1) for count in more]


def _between(name: str, low: int, high: int) -> Form:
    if low == high:
        return Exact(name, str(low), quoted=False)
    return AllOf((Compare(name, ">=", str(low)), Compare(name, "<=", str(high))))


def _is_number(text: str, *, whole: bool) -> bool:
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit():
        return True
    before, dot, after = digits.partition(".")
    return not whole and dot == "." and before.isdigit() and after.isdigit()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _network_of(pattern: Pattern) -> str | None:
    """The network of a text prefix that ends at a group: `10.*`, `192.168.*`, `fe80:*`."""
    match pattern.parts:
        case (str(prefix), Wildcard.ANY) if prefix.endswith("."):
            groups = prefix[:-1].split(".")
            text = ".".join([*groups, *["0"] * (4 - len(groups))])
            return f"{text}/{8 * len(groups)}" if _is_address(text) else None
        case (str(prefix), Wildcard.ANY) if prefix.endswith(":") and "::" not in prefix:
            groups = prefix[:-1].split(":")
            return f"{prefix}:/{16 * len(groups)}" if _is_address(f"{prefix}:") else None
    return None
