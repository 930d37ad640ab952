"""`apply(plan, ...)`: carry out the stages of a plan, and leave a record whatever happens.

The record is written before the first write and finished after the last. In between, `kill -9`
at any moment leaves a state from which the next push converges: what exists is compared with
what is wanted, and the record says which ids may be ours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ruledeploy.deploy.live import read_value_list
from ruledeploy.deploy.lock import Lock, locked, who
from ruledeploy.deploy.normalise import fingerprint
from ruledeploy.deploy.objects import Kind, Ref
from ruledeploy.deploy.outcome import ApplyOptions, Outcome, PartlyApplied, Progress
from ruledeploy.deploy.plan import Change, Plan, Write
from ruledeploy.deploy.records import Applied, Entry, Record, State
from ruledeploy.deploy.safety import READ_SINGLY, refuse_conflicts, refuse_moved, refuse_too_much
from ruledeploy.deploy.send import Sender, unexpected
from ruledeploy.deploy.stages import (
    ReadItemsBack,
    ReadRulesBack,
    ReadValuesBack,
    Stage,
    WriteRecord,
    stages,
)
from ruledeploy.deploy.store import RecordStore
from ruledeploy.errors import (
    AlreadyThere,
    AnswerLost,
    Collector,
    NotAuthorized,
    PartialError,
    RefusedError,
    RuledeployError,
    ServerError,
    Unreachable,
)
from ruledeploy.kibana import Kibana
from ruledeploy.model import JsonObject, digest

# Requests in flight at once. An item's create waits about a second for a refresh on a real
# stack, so items take more; rules mint API keys and reschedule tasks, so they take fewer.
JOBS: dict[Kind, int] = {"value_list": 4, "list": 4, "item": 10, "rule": 4, "prebuilt": 4}


def apply(
    plan: Plan,
    kibana: Kibana,
    store: RecordStore,
    on_progress: Callable[[Progress], None] | None = None,
    options: ApplyOptions | None = None,
) -> Outcome:
    """Carry out a plan.

    Raises `RefusedError` before any write (conflict, threshold, lock, moved record), the first
    error as it is when nothing was written yet, `PartialError` afterwards, and
    `KeyboardInterrupt` when `options.stop` was set between two writes.
    """
    options = options or ApplyOptions()
    if plan.empty:
        return Outcome(0, 0)
    refuse_conflicts(plan)
    if not options.allow_many:
        refuse_too_much(plan)
    with locked(store.documents, wait=options.wait_for_lock) as lock:
        applied = store.applied()
        if applied.n != plan.base_record:
            raise RefusedError(
                f"the plan builds on record {plan.base_record}, but the last is {applied.n}: "
                "somebody pushed since",
                hint="make the plan again",
            )
        refuse_moved(plan, kibana)
        record = _first_record(plan, applied, options)
        try:
            store.begin(record)
        except AlreadyThere as error:
            raise RefusedError(f"somebody else began record {record.n}: push again") from error
        push = _Push(
            plan, Sender(kibana, options.sleep), lock, options, on_progress or (lambda _: None)
        )
        return _finish(push, record, store)


def _first_record(plan: Plan, applied: Applied, options: ApplyOptions) -> Record:
    """The record of intent: every id and body that this push may put on the server."""
    after: dict[Ref, Entry] = {ref: entries[0] for ref, entries in applied.objects.items()}
    before: dict[Ref, JsonObject] = {}
    for change in plan.changes:
        if change.before is not None:
            before[change.ref] = change.before
        if change.entry is not None:
            after[change.ref] = change.entry
        elif not _is_duplicate(change, plan):
            after.pop(change.ref, None)
    temporary = plan.temporary
    for write in plan.writes:
        if write.ref in temporary and write.expected is not None:
            after[write.ref] = Entry(write.expected, write.ref.id, retired=True)
    return Record(
        n=plan.base_record + 1,
        state="applying",
        who=who(),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=options.commit,
        plan={"checksum": plan.checksum, "changes": [_summary(c) for c in plan.changes]},
        before=before,
        after=after,
    )


def _is_duplicate(change: Change, plan: Plan) -> bool:
    """True when a deletion is of a younger copy: the object itself stays."""
    return change.fingerprint != plan.fingerprints.get(change.ref.key)


def _summary(change: Change) -> dict[str, Any]:
    return {
        "object": change.ref.key,
        "name": change.name,
        "action": change.action,
        "reason": change.reason,
        "class": change.change_class,
    }


def _finish(push: _Push, record: Record, store: RecordStore) -> Outcome:
    """Run the stages; whatever happens, say in the record how far they came."""
    try:
        for stage in stages(push.plan):
            push.run(stage)
    except RuledeployError as error:
        with suppress(ServerError):  # the first error is the one to tell
            _close(push, record, store, "partial")
        if not push.done and not push.unknown:
            raise
        raise PartlyApplied(error, push.done, push.unknown, push.left) from error
    except (KeyboardInterrupt, Exception) as error:
        with suppress(ServerError):
            _close(push, record, store, "partial")
        if isinstance(error, KeyboardInterrupt):
            done, total = len(push.done), len(push.plan.writes)
            said = f"{done} of {total} writes are done; push again, it goes on from there"
            raise KeyboardInterrupt(said) from error
        raise
    try:
        _close(push, record, store, "done")
    except ServerError as error:
        raise PartialError(
            f"everything is done, but the record could not be finished: {error}",
            hint="push again: it finds nothing to do and finishes the record",
        ) from error
    return Outcome(record.n, len(push.done))


def _close(push: _Push, record: Record, store: RecordStore, state: State) -> None:
    store.write_journal(record.n, push.journal)
    if state == "done":
        gone = push.plan.temporary
        after = {
            ref: replace(entry, carried=None)
            for ref, entry in record.after.items()
            if ref not in gone
        }
        record = replace(record, after=after)
    store.finish(replace(record, state=state))


class _Push:
    """The running state of one apply: what is done, and the uuids of lists just created."""

    def __init__(
        self,
        plan: Plan,
        sender: Sender,
        lock: Lock,
        options: ApplyOptions,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.plan = plan
        self.done: list[Write] = []
        self.unknown: list[Write] = []  # may or may not have been carried out
        self.journal: list[JsonObject] = []
        self._sender = sender
        self._lock = lock
        self._options = options
        self._on_progress = on_progress
        self._list_uuids: dict[str, str] = {}
        self._guard = threading.Lock()
        self._total = len(plan.writes)
        self._looked = time.monotonic()
        self._ours: set[Ref] = set()  # written by this push, so not as the plan saw them

    @property
    def left(self) -> list[Write]:
        """The writes that were not carried out, in the order in which they were due."""
        tried = {id(write) for write in (*self.done, *self.unknown)}
        due = (write for stage in stages(self.plan) for write in _writes_of(stage))
        return [write for write in due if id(write) not in tried]

    def run(self, stage: Stage) -> None:
        """Carry out one stage; raises when anything in it failed, after trying the rest."""
        match stage:
            case ReadValuesBack(writes):
                self._read_values_back(writes)
            case ReadItemsBack(writes) | ReadRulesBack(writes):
                self._read_back(writes)
            case WriteRecord():
                return
            case _:
                self._write_all(type(stage).__name__, stage.writes)

    def _write_all(self, stage: str, writes: Sequence[Write]) -> None:
        """Send all writes of a stage, those of one object in order, a few objects at a time."""
        by_ref: dict[object, list[Write]] = {}
        for write in writes:
            # Values may go in any order; all else about one object has an order.
            alone = write.operation == "remove"
            by_ref.setdefault(id(write) if alone else write.ref, []).append(write)
        if any(write.ref.kind == "value_list" and write.operation == "create" for write in writes):
            self._sender.prepare_value_lists()
        jobs = self._options.jobs or JOBS[writes[0].ref.kind]
        fatal = threading.Event()

        def one(group: list[Write]) -> RuledeployError | None:
            for write in group:
                if fatal.is_set() or self._options.stop.is_set():
                    return None
                try:
                    self._write(stage, write)
                except RuledeployError as error:
                    if isinstance(error, Unreachable | AnswerLost | NotAuthorized | RefusedError):
                        fatal.set()  # the next object would fare no better
                    return error
            return None

        if jobs == 1:
            failures = [one(group) for group in by_ref.values()]
        else:
            with ThreadPoolExecutor(jobs) as pool:
                failures = list(pool.map(one, by_ref.values()))
        if self._options.stop.is_set():
            raise KeyboardInterrupt
        _raise_all([failure for failure in failures if failure])

    def _write(self, stage: str, write: Write) -> None:
        self._lock.check()
        self._refuse_moved(write)
        try:
            if write.ref.kind == "list" and write.operation == "delete":
                self._refuse_filled(write)
            answer, lost = self._sender.send(self._with_uuids(write))
        except RuledeployError as error:
            self._note(write, type(error).__name__)
            if isinstance(error, AnswerLost):
                with self._guard:
                    self.unknown.append(write)
            raise
        with self._guard:
            if write.ref.kind == "list" and answer is not None:
                self._list_uuids[write.ref.id] = str(answer["id"])
        self._note(write, "done, its answer was lost" if lost else "done")
        with self._guard:
            self.done.append(write)
            self._on_progress(Progress(stage, len(self.done), self._total, write))

    def _refuse_moved(self, write: Write) -> None:
        """Raise when a rule is not any more as it was when the plan was made."""
        late = time.monotonic() - self._looked >= self._options.look_again
        over = write.ref.kind == "rule" and write.operation != "create" and write.phase != "hide"
        if late and over and write.ref not in self._ours:
            there = fingerprint("rule", self._sender.read(write))
            if there != self.plan.fingerprints[write.ref.key]:
                raise RuledeployError(f"{write.ref} was changed on the server during this push")
        self._ours.add(write.ref)

    def _refuse_filled(self, write: Write) -> None:
        """Raise when a list that is to be deleted holds an item: Kibana would delete that too."""
        inside = self._sender.kibana.items.find([write.ref.id])
        if inside:
            names = ", ".join(str(item["name"]) for item in inside)
            raise RefusedError(
                f"{write.ref} is not deleted: items were put into it meanwhile ({names})",
                hint="plan again",
            )

    def _with_uuids(self, write: Write) -> Write:
        """The write with the uuids of lists that this push created filled into its links."""
        body = write.request.body
        if write.ref.kind not in {"rule", "prebuilt"} or body is None or not self._list_uuids:
            return write
        links = [
            {**link, "id": self._list_uuids.get(link["list_id"], link["id"])}
            for link in body.get("exceptions_list", ())
        ]
        request = replace(write.request, body={**body, "exceptions_list": links})
        return replace(write, request=request)

    def _note(self, write: Write, outcome: str) -> None:
        with self._guard:
            self.journal.append(
                {
                    "seq": len(self.journal) + 1,
                    "op": write.operation,
                    "id": write.ref.key,
                    "request_hash": digest(write.request.to_json()),
                    "outcome": outcome,
                    "when": time.time(),
                }
            )

    def _read_back(self, writes: Sequence[Write]) -> None:
        """Compare what is there with what was meant; raises for every difference."""
        meant = {write.ref: write for write in writes if write.expected is not None}
        there = self._read(list(meant.values()))
        failures: list[RuledeployError] = []
        for ref, write in meant.items():
            body = there.get(ref)
            if body is None:
                failures.append(RuledeployError(f"{ref} is not there after it was written"))
            elif fields := unexpected(write, body):
                names = ", ".join(fields)
                failures.append(RuledeployError(f"{ref} was written, but differs in {names}"))
        _raise_all(failures)

    def _read_values_back(self, writes: Sequence[Write]) -> None:
        """Raise for every value list in which a value is missing that was written."""
        meant: dict[Ref, set[str]] = {}
        for write in writes:
            if write.operation == "add" and write.expected:
                meant.setdefault(write.ref, set()).update(write.expected["values"])
        failures: list[RuledeployError] = []
        for ref, values in meant.items():
            there = read_value_list(self._sender.kibana, ref.id)["values"]
            missing = sorted(values - set(there))
            if missing:
                failures.append(
                    RuledeployError(f"{ref} lacks {len(missing)} values, such as {missing[0]!r}")
                )
        _raise_all(failures)

    def _read(self, writes: list[Write]) -> dict[Ref, JsonObject]:
        kibana = self._sender.kibana
        if len(writes) <= READ_SINGLY:
            found = {write.ref: self._sender.read(write) for write in writes}
            return {ref: body for ref, body in found.items() if body is not None}
        refs = [write.ref for write in writes]
        ids = [ref.id for ref in refs]
        if writes[0].ref.kind in {"rule", "prebuilt"}:
            rules = {body["rule_id"]: body for body in kibana.rules.find(ids=ids).objects}
            return {ref: rules[ref.id] for ref in refs if ref.id in rules}
        lists = {str(write.request.body["list_id"]) for write in writes if write.request.body}
        items = kibana.items.find(sorted(lists), ids=ids)
        return {Ref("item", body["item_id"]): body for body in items}


def _writes_of(stage: Stage) -> tuple[Write, ...]:
    """What a stage sends; read-backs send nothing."""
    return () if isinstance(stage, ReadValuesBack | ReadItemsBack | ReadRulesBack) else stage.writes


def _raise_all(failures: list[RuledeployError]) -> None:
    collector = Collector()
    for failure in failures:
        collector.add(failure)
    collector.raise_if_any()
