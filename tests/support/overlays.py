"""Builders for overlays written as YAML text."""

from __future__ import annotations

from datetime import date
from textwrap import dedent

from ruledeploy.allowlist import (
    Allowlist,
    KnownRule,
    Overlay,
    compile_overlays,
    effective_overlays,
    parse_overlays,
)
from ruledeploy.allowlist.compile import Scope
from ruledeploy.model import Environment, ExceptionPolicy

RULE = "5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b"
OVERLAY = "0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10"
TODAY = date(2026, 11, 24)


def overlays(
    items: str, *, path: str = "exceptions/base/o.yml", rules: str = RULE
) -> tuple[Overlay, ...]:
    """One overlay whose `items:` is the given YAML list."""
    head = f"title: Trusted\nid: {OVERLAY}\n"
    head += f"rules: [{rules}]\n" if rules else ""
    body = "".join(f"  {line}\n" for line in dedent(items).strip().splitlines())
    return parse_overlays({path: f"{head}items:\n{body}".encode()})


def known(family: str = "endpoint-api") -> list[KnownRule]:
    """The mission's rule, compiled for one family, and a rule that is not deployed."""
    return [
        KnownRule(RULE, "Writers", frozenset({"attack.t1055.002"}), ((RULE, family),)),
        KnownRule("11111111-1111-4111-8111-111111111111", "Elsewhere", frozenset()),
    ]


def scope(**policy: object) -> Scope:
    """Project `acme`, environment `prod`, a fixed day, and a policy."""
    env = Environment("prod", policy=ExceptionPolicy(require=(), **policy))  # type: ignore[arg-type]
    return Scope("acme", env, TODAY)


def compiled(items: str, family: str = "endpoint-api") -> Allowlist:
    """The allowlist that one overlay's items become."""
    found = effective_overlays([overlays(items)])
    return compile_overlays(found, known(family), scope())
