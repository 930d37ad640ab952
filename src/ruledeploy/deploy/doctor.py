"""`doctor`: everything around a push that can be wrong, one line each, with its remedy.

Reads alone. A check that cannot be made says `unknown` and why; it never passes for well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from ruledeploy.deploy.doctor_data import data_checks
from ruledeploy.deploy.doctor_keys import key_checks
from ruledeploy.deploy.doctor_lines import Check, Subject, remark
from ruledeploy.deploy.health import NOT_RUN, health_of
from ruledeploy.deploy.history import read_hold
from ruledeploy.deploy.lock import read_holder
from ruledeploy.deploy.objects import Ref
from ruledeploy.deploy.preflight import NEWEST, OLDEST
from ruledeploy.errors import NotThere, RuledeployError, ServerError

MAX_SKEW_SECONDS = 60.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def examine(subject: Subject) -> Iterator[Check]:
    """Every check, in the order in which one depends on another.

    When the server does not answer, what needs it is left out: the first line says why.
    """
    yield _transport(subject)
    reached = _reached(subject)
    yield reached
    if reached.state != "error":
        yield _version(subject)
        yield _space(subject)
        yield _encryption(subject)
        yield _clock(subject)
        yield from key_checks(subject)
    yield from _records(subject)
    if reached.state != "error":
        yield from _rules(subject)
        yield from data_checks(subject)


def _transport(subject: Subject) -> Check:
    connection = subject.kibana.connection
    parts = urlsplit(connection.url)
    if parts.scheme == "https" and connection.ca_fingerprint:
        return Check("TLS", "ok", "verified by the fingerprint in ca_fingerprint")
    if parts.scheme == "https" and not connection.verify_certs:
        remedy = "remove verify_certs = false, and name the CA's file in ca_certs"
        return Check("TLS", "warning", "the server's certificate is not verified", remedy)
    if parts.scheme == "https":
        by = connection.ca_certs or "the system's CAs"
        return Check("TLS", "ok", f"verified against {by}")
    if parts.hostname in _LOOPBACK:
        return Check("TLS", "ok", "plain HTTP on this machine")
    remedy = "use https://: credentials and rules cross the network readable"
    return Check("TLS", "warning", "plain HTTP", remedy)


def _reached(subject: Subject) -> Check:
    url = subject.kibana.connection.url
    try:
        status = subject.status()
    except ServerError as error:
        return Check("Kibana", "error", error.message, error.hint or "is this Kibana's URL?")
    if not status.get("version", {}).get("number"):
        sent = subject.kibana.connection.credential
        remedy = "set api_key (or KIBANA_API_KEY), or username and password"
        return Check("Kibana", "error", f"{url} answers, but does not accept us: {sent}", remedy)
    level = status.get("status", {}).get("overall", {}).get("level", "available")
    if level != "available":
        return Check("Kibana", "warning", f"{url}: {level}", "see Kibana's status page")
    return Check("Kibana", "ok", f"{url} is available")


def _version(subject: Subject) -> Check:
    version = subject.status()["version"]
    number = str(version["number"])
    if version.get("build_flavor") == "serverless":
        remedy = "plan first and read it: a serverless project changes without a version"
        return Check("version", "warning", f"{number}, serverless", remedy)
    parts = tuple(int(part) for part in number.split(".")[:2] if part.isdigit())
    if parts > NEWEST:
        remedy = "plan first and read it: this version was written against servers up to {}.{}"
        return Check("version", "warning", f"{number} is newer", remedy.format(*NEWEST))
    if parts < OLDEST:
        remedy = f"upgrade to {OLDEST[0]}.{OLDEST[1]} or later"
        return Check("version", "warning", f"{number} is older than we know", remedy)
    return Check("version", "ok", number)


def _space(subject: Subject) -> Check:
    name = subject.env.space
    try:
        subject.kibana.space()
    except NotThere:
        remedy = "create it in Kibana, or correct `space`: objects would land where nobody looks"
        return Check("space", "error", f"there is no space {name!r}", remedy)
    except ServerError as error:
        return remark("space", error)
    return Check("space", "ok", name)


def _encryption(subject: Subject) -> Check:
    try:
        answer = subject.kibana.privileges()
    except ServerError as error:
        return remark("encryption key", error)
    if answer.get("has_encryption_key") is False:
        remedy = "set xpack.encryptedSavedObjects.encryptionKey in kibana.yml"
        return Check("encryption key", "error", "none, so no rule can be enabled", remedy)
    return Check("encryption key", "ok", "set")


def _clock(subject: Subject) -> Check:
    """How far this machine's clock is from the server's; both decide what has expired."""
    before = time.time()
    try:
        there = subject.kibana.date()
    except ServerError as error:
        return remark("clock", error)
    if there is None:
        return Check("clock", "unknown", "the server's answers carry no date")
    # The header has whole seconds, and the answer was on its way for a while.
    skew = there.timestamp() + 0.5 - (before + time.time()) / 2
    if abs(skew) > MAX_SKEW_SECONDS:
        remedy = "synchronise the clocks: they decide which allowlist items have expired"
        way = "ahead of" if skew > 0 else "behind"
        return Check("clock", "warning", f"the server is {abs(skew):.0f} s {way} us", remedy)
    return Check("clock", "ok", f"within {MAX_SKEW_SECONDS:g} s of the server's")


def _records(subject: Subject) -> Iterator[Check]:
    """Where the records are, and whether a lock or a hold keeps pushes out."""
    store = subject.store
    if store.durable:
        yield Check("records", "ok", store.documents.place)
    else:
        remedy = "set elasticsearch_url: others' pushes are unknown here"
        yield Check("records", "warning", f"on this machine only: {store.documents.place}", remedy)
    try:
        holder, hold, applied = read_holder(store.documents), read_hold(store), store.applied()
    except RuledeployError as error:
        yield Check("records", "error", f"not readable: {error.message}", error.hint or "")
        return
    if holder is None:
        yield Check("lock", "ok", "free")
    else:
        silent = time.time() - float(holder["heartbeat"])
        remedy = "wait for that push; a dead one's lock expires by itself"
        said = f"held by {holder['who']}, last heard of {silent:.0f} s ago"
        yield Check("lock", "warning", said, remedy)
    if hold is None:
        yield Check("hold", "ok", "none")
    else:
        said = f"{hold.who} rolled back to record {hold.to} at {hold.when}"
        yield Check("hold", "warning", said, "push a newer commit, or `push --release`")
    if applied.state != "done":
        said = f"record {applied.n} is {applied.state}"
        yield Check("last push", "warning", f"{said}: it did not finish", "push again")
    else:
        yield Check("last push", "ok", f"record {applied.n}" if applied.n else "none yet")


def _rules(subject: Subject) -> Iterator[Check]:
    """How our enabled rules' last runs went, and each that is not well."""
    try:
        rules, applied = subject.rules(), subject.store.applied()
    except RuledeployError as error:
        yield remark("rules", error)
        return
    ours = [
        body
        for body in rules
        if Ref("rule", body["rule_id"]) in applied.objects and body["enabled"]
    ]
    found = [health_of(body, since_written=False) for body in ours]
    unwell = [one for one in found if not one.well]
    waiting = sum(one.status == NOT_RUN for one in found)
    well = len(found) - len(unwell) - waiting
    later = f", {waiting} have not run yet" if waiting else ""
    # None of them alone can say that all is well, or that nothing is.
    verdict: Literal["ok", "warning", "unknown"] = (
        "warning" if unwell else "unknown" if waiting and not well else "ok"
    )
    remedy = "each is named below" if unwell else "look again after their interval"
    yield Check("rules", verdict, f"{well} of {len(found)} enabled rules ran well{later}", remedy)
    for one in unwell:
        state: Literal["error", "warning"] = "error" if one.status == "failed" else "warning"
        remedy = one.remedy or "open the rule's execution results in Kibana"
        yield Check(f"rule {one.name}", state, f"{one.status}: {one.message}", remedy, "rule")
