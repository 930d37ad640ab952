"""Events as Elastic Defend ships them.

API events come from the kernel's Threat-Intelligence provider: category `api` and
`intrusion_detection`, type `change`, no `event.action`. Field names are those Elastic documents
for these events; some of them are stored without being mapped (see `validate`).
"""

from __future__ import annotations

from typing import Any

from ruledeploy.telemetry.fleet import host_fields, user_of
from ruledeploy.telemetry.programs import base_name, file_hash, program_at, signer_of
from ruledeploy.telemetry.scene import Fields, Prototype, Scene, hexadecimal, merged, nested

AGENT_VERSION = "9.1.5"
_SELF = r"C:\Windows\System32\notepad.exe"
_API = "process.Ext.api"
_NOWHERE = object()


def api_event(scene: Scene, given: Fields, name: str | None = None) -> Prototype:
    """One call seen by the API sensor, into another process when `Target.process.*` is given.

    `given` overrides any field; what it leaves out is derived from what it holds: names from
    paths, signatures from known programs, the summary from target, address and size.
    """
    call = str(given.get(f"{_API}.name", name or "WriteProcessMemory"))
    executable = str(given.get("process.executable", _SELF))
    template = {
        **_base(scene, "api", executable),
        **_process(scene, executable, given),
        **_target(scene, given),
        "event.category": ["api", "intrusion_detection"],
        "event.type": ["change"],
        "event.provider": "Microsoft-Windows-Threat-Intelligence",
        "process.thread.id": scene.actor(executable).thread_id,
        **_call(scene, call, executable, given),
    }
    return _prototype("api", template, given, f"Endpoint API event - {call}")


def process_event(scene: Scene, given: Fields) -> Prototype:
    """A process start."""
    executable = str(given.get("process.executable", _SELF))
    parent = str(given.get("process.parent.executable", r"C:\Windows\explorer.exe"))
    above = scene.actor(parent)
    process = merged(_process(scene, executable, given), {"process.parent.executable": None})
    command_line = str(given.get("process.command_line", process["process.command_line"]))
    template = {
        **_base(scene, "process", executable),
        **process,
        "event.action": "start",
        "event.category": ["process"],
        "event.type": ["start"],
        "process.args": command_line.split(" "),
        "process.args_count": len(command_line.split(" ")),
        "process.parent.executable": parent,
        "process.parent.name": base_name(parent),
        "process.parent.pid": above.pid,
        "process.parent.entity_id": above.entity_id,
        "process.hash.sha256": file_hash(executable),
    }
    return _prototype("process", template, given, "Endpoint process event")


def library_event(scene: Scene, given: Fields) -> Prototype:
    """A DLL loaded into a process."""
    executable = str(given.get("process.executable", _SELF))
    path = str(given.get("dll.path", r"C:\Windows\System32\version.dll"))
    process = _process(scene, executable, given)
    drop = ("process.parent", "process.command_line", "process.Ext.token")
    template = {
        **_base(scene, "library", executable),
        **merged(process, dict.fromkeys(drop)),
        **_signature("dll", path, given),
        "event.action": "load",
        "event.category": ["library"],
        "event.type": ["start"],
        "dll.name": base_name(path),
        "dll.path": path,
        "dll.hash.sha256": file_hash(path),
        "process.thread.id": scene.actor(executable).thread_id,
    }
    return _prototype("library", template, given, "Endpoint DLL load event")


def _prototype(stream: str, template: Fields, given: Fields, message: str) -> Prototype:
    flat = merged(template, given)
    for subject in ("process", "dll"):
        signature = _under(flat, f"{subject}.code_signature.")
        if signature:
            flat[f"{subject}.Ext.code_signature"] = [signature]
    return Prototype(
        index=f"logs-endpoint.events.{stream}-default",
        family=f"endpoint-{stream}",
        body=nested(flat),
        message=str(flat.get("message", message)),
    )


def _base(scene: Scene, stream: str, executable: str) -> dict[str, Any]:
    user = user_of(scene.host, executable)
    return {
        **host_fields(scene.host),
        "agent.id": scene.host.agent_id,
        "agent.type": "endpoint",
        "agent.version": AGENT_VERSION,
        "data_stream.dataset": f"endpoint.events.{stream}",
        "data_stream.namespace": "default",
        "data_stream.type": "logs",
        "ecs.version": "8.10.0",
        "elastic.agent.id": scene.host.agent_id,
        "event.dataset": f"endpoint.events.{stream}",
        "event.kind": "event",
        "event.module": "endpoint",
        "event.outcome": "unknown",
        "user.domain": user.domain,
        "user.id": user.sid,
        "user.name": user.name,
    }


def _process(scene: Scene, executable: str, given: Fields) -> dict[str, Any]:
    acting = scene.actor(executable)
    program = program_at(executable)
    system = program is not None and program.session == "system"
    fields = {
        "process.executable": executable,
        "process.name": base_name(executable),
        "process.command_line": f'"{executable}"',
        "process.entity_id": acting.entity_id,
        "process.pid": acting.pid,
        "process.parent.executable": (
            r"C:\Windows\System32\services.exe" if system else r"C:\Windows\explorer.exe"
        ),
        "process.Ext.token.integrity_level_name": "system" if system else "medium",
        **_signature("process", executable, given),
    }
    if program is not None and program.protection:
        fields["process.Ext.protection"] = program.protection
    return fields


def _signature(subject: str, path: str, given: Fields) -> dict[str, Any]:
    """`<subject>.code_signature.*` by what lies at `path`: unsigned is `exists: false` alone."""
    below = f"{subject}.code_signature"
    signer = given.get(f"{below}.subject_name", signer_of(path))
    if signer is None:
        return {f"{below}.exists": False}
    return {
        f"{below}.exists": True,
        f"{below}.status": "trusted",
        f"{below}.subject_name": signer,
        f"{below}.trusted": True,
    }


def _target(scene: Scene, given: Fields) -> dict[str, Any]:
    executable = given.get("Target.process.executable")
    if executable is None:
        return {}
    target = scene.actor(str(executable))
    system = user_of(scene.host, str(executable)).name == "SYSTEM"
    return {
        "Target.process.name": base_name(str(executable)),
        "Target.process.pid": target.pid,
        "Target.process.entity_id": target.entity_id,
        "Target.process.Ext.token.integrity_level_name": "system" if system else "medium",
    }


def _call(scene: Scene, call: str, executable: str, given: Fields) -> dict[str, Any]:
    """`process.Ext.api.*`; a write into oneself names itself as the target."""
    target = given.get("Target.process.executable", _NOWHERE)
    elsewhere = target is not _NOWHERE or "Target.process.pid" in given
    where = given.get(f"{_API}.metadata.target_address_name", "Unbacked" if elsewhere else "Data")
    size = given.get(f"{_API}.parameters.size", 8 * (1 + scene.rng.randrange(512)))
    shown = "Self"
    if elsewhere:
        known = isinstance(target, str)
        shown = base_name(str(target)) if known else str(given.get("Target.process.pid", 0))
    fields = {
        f"{_API}.name": call,
        f"{_API}.summary": f"{call}( {shown}, {where}, {hexadecimal(size)} )",
        f"{_API}.metadata.target_address_name": where,
        f"{_API}.parameters.address": 0x7FF0_0000_0000 + 0x1000 * scene.rng.randrange(1 << 24),
        f"{_API}.parameters.size": size,
    }
    if elsewhere:
        fields[f"{_API}.behaviors"] = ["cross-process"]
        if "Target.process.executable" not in given:
            fields["Target.process.pid"] = given["Target.process.pid"]
    elif call == "WriteProcessMemory":
        me = scene.actor(executable)
        fields["Target.process.executable"] = executable
        fields["Target.process.name"] = base_name(executable)
        fields["Target.process.pid"] = me.pid
        fields["Target.process.entity_id"] = me.entity_id
    return fields


def _under(flat: Fields, prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): value for name, value in flat.items() if name.startswith(prefix)
    }
