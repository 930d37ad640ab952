"""Sysmon's events 1, 7, 8 and 10 as the Elastic integration and Winlogbeat ship them.

Both rename Sysmon's own fields to ECS where one exists (`SourceImage` becomes
`process.executable`, `ImageLoaded` becomes `file.path`) and keep the rest as text below
`winlog.event_data`. The integration maps `dll.*` as aliases of `file.*`, so no event holds them.
"""

from __future__ import annotations

from typing import Any

from ruledeploy.telemetry.fleet import Host, user_of
from ruledeploy.telemetry.programs import base_name, file_hash, signer_of
from ruledeploy.telemetry.scene import UTC_HOLE, Fields, Prototype, Scene, merged, nested

_PROVIDER = "Microsoft-Windows-Sysmon"
_GUID = "{5770385f-c22a-43e0-bf4c-06f5698ffbd9}"
_DATA = "winlog.event_data"
_NOTEPAD = r"C:\Windows\System32\notepad.exe"
_EXPLORER = r"C:\Windows\explorer.exe"
_NTDLL = r"C:\Windows\SYSTEM32\ntdll.dll+9d4c4|C:\Windows\System32\KERNELBASE.dll+2c13e"


def process_create(scene: Scene, given: Fields) -> Prototype:
    """Event 1: a process started."""
    executable = str(given.get("process.executable", _NOTEPAD))
    parent = str(given.get("process.parent.executable", _EXPLORER))
    above = scene.actor(parent)
    command_line = str(given.get("process.command_line", f'"{executable}"'))
    template = {
        **_process(scene, executable),
        "event.category": ["process"],
        "event.type": ["start"],
        "process.command_line": command_line,
        "process.args": command_line.split(" "),
        "process.args_count": len(command_line.split(" ")),
        "process.working_directory": executable.removesuffix(base_name(executable)),
        "process.hash.sha256": file_hash(executable),
        "process.pe.original_file_name": base_name(executable),
        "process.parent.executable": parent,
        "process.parent.name": base_name(parent),
        "process.parent.pid": above.pid,
        "process.parent.entity_id": above.guid,
        "process.parent.command_line": f'"{parent}"',
        "related.hash": [file_hash(executable)],
        f"{_DATA}.LogonId": "0x3e7",
        f"{_DATA}.TerminalSessionId": "1",
    }
    return _prototype(scene, ("1", "Process Create", "ProcessCreate"), template, given)


def image_load(scene: Scene, given: Fields) -> Prototype:
    """Event 7: a DLL was loaded; signed by who signs what lies there."""
    executable = str(given.get("process.executable", _NOTEPAD))
    path = str(given.get("file.path", r"C:\Windows\System32\version.dll"))
    name = base_name(path)
    directory, _, extension = name.rpartition(".")
    template = {
        **_process(scene, executable),
        **_file_signature(path, given),
        "event.category": ["process"],
        "event.type": ["change"],
        "file.path": path,
        "file.name": name,
        "file.directory": path.removesuffix(f"\\{name}"),
        "file.extension": extension if directory else "",
        "file.hash.sha256": file_hash(path),
        "file.pe.imphash": file_hash(path)[:32],
        "file.pe.original_file_name": name,
        "related.hash": [file_hash(path), file_hash(path)[:32]],
    }
    return _prototype(scene, ("7", "Image loaded", "ImageLoad"), template, given)


def remote_thread(scene: Scene, given: Fields) -> Prototype:
    """Event 8: a process started a thread in another one."""
    executable = str(given.get("process.executable", _NOTEPAD))
    target = str(given.get(f"{_DATA}.TargetImage", _EXPLORER))
    address = 0x1F0_0000_0000 + 0x1000 * scene.rng.randrange(1 << 24)
    template = {
        **_process(scene, executable),
        **_target(scene, target, "TargetProcessGuid"),
        "event.category": ["process"],
        "event.type": ["change"],
        f"{_DATA}.NewThreadId": str(4 * (500 + scene.rng.randrange(4000))),
        f"{_DATA}.StartAddress": f"0x{address:016X}",
    }
    return _prototype(
        scene, ("8", "CreateRemoteThread detected", "CreateRemoteThread"), template, given
    )


def process_access(scene: Scene, given: Fields) -> Prototype:
    """Event 10: a process opened a handle to another one."""
    executable = str(given.get("process.executable", _NOTEPAD))
    target = str(given.get(f"{_DATA}.TargetImage", _EXPLORER))
    template = {
        **_process(scene, executable),
        **_target(scene, target, "TargetProcessGUID"),
        "event.category": ["process"],
        "event.type": ["access"],
        f"{_DATA}.GrantedAccess": "0x1000",
        f"{_DATA}.CallTrace": f"{_NTDLL}|{executable}+1f3a",
    }
    return _prototype(scene, ("10", "Process accessed", "ProcessAccess"), template, given)


def _prototype(
    scene: Scene, kind: tuple[str, str, str], template: Fields, given: Fields
) -> Prototype:
    shipped = _integration(scene.host) if scene.shipper == "integration" else _winlogbeat(scene)
    flat = merged({**_base(scene, kind), **shipped, **template}, given)
    message = str(flat.get("message", _message(kind[1], flat)))
    integration = scene.shipper == "integration"
    return Prototype(
        index="logs-windows.sysmon_operational-default" if integration else "winlogbeat-9.1.5",
        family="sysmon-integration" if integration else "winlogbeat",
        body=nested(flat),
        message=message,
    )


def _base(scene: Scene, kind: tuple[str, str, str]) -> dict[str, Any]:
    code, task, rule = kind
    sysmon = scene.actor(r"C:\Windows\Sysmon64.exe")
    return {
        "agent.id": scene.host.agent_id,
        "agent.version": "9.1.5",
        "ecs.version": "8.11.0",
        "event.action": f"{task} (rule: {rule})",
        "event.code": code,
        "event.kind": "event",
        "event.provider": _PROVIDER,
        "host.ip": [scene.host.ip],
        "host.name": scene.host.name,
        "host.os.type": "windows",
        "log.level": "information",
        "winlog.channel": f"{_PROVIDER}/Operational",
        "winlog.computer_name": f"{scene.host.name}.example.test",
        "winlog.event_id": code,
        "winlog.opcode": "Info",
        "winlog.process.pid": sysmon.pid,
        "winlog.process.thread.id": sysmon.thread_id,
        "winlog.provider_guid": _GUID,
        "winlog.provider_name": _PROVIDER,
        "winlog.task": f"{task} (rule: {rule})",
        "winlog.user.domain": "NT AUTHORITY",
        "winlog.user.identifier": "S-1-5-18",
        "winlog.user.name": "SYSTEM",
        "winlog.user.type": "User",
        "winlog.version": 5,
    }


def _integration(host: Host) -> dict[str, Any]:
    return {
        "agent.name": host.name,
        "agent.type": "filebeat",
        "data_stream.dataset": "windows.sysmon_operational",
        "data_stream.namespace": "default",
        "data_stream.type": "logs",
        "event.dataset": "windows.sysmon_operational",
        "event.module": "windows",
    }


def _winlogbeat(scene: Scene) -> dict[str, Any]:
    return {
        "agent.name": scene.host.name,
        "agent.type": "winlogbeat",
        "event.module": "sysmon",
        "winlog.api": "wineventlog",
    }


def _process(scene: Scene, executable: str) -> dict[str, Any]:
    acting = scene.actor(executable)
    user = user_of(scene.host, executable)
    return {
        "process.executable": executable,
        "process.name": base_name(executable),
        "process.entity_id": acting.guid,
        "process.pid": acting.pid,
        "related.user": [user.name],
        "user.domain": user.domain,
        "user.id": user.sid,
        "user.name": user.name,
    }


def _target(scene: Scene, target: str, guid: str) -> dict[str, Any]:
    acted_on = scene.actor(target)
    user = user_of(scene.host, target)
    return {
        f"{_DATA}.TargetImage": target,
        f"{_DATA}.TargetProcessId": str(acted_on.pid),
        f"{_DATA}.{guid}": acted_on.guid,
        f"{_DATA}.TargetUser": f"{user.domain}\\{user.name}",
    }


def _file_signature(path: str, given: Fields) -> dict[str, Any]:
    signer = given.get("file.code_signature.subject_name", signer_of(path))
    if signer is None:
        return {
            "file.code_signature.status": "Unavailable",
            f"{_DATA}.Signed": "false",
            f"{_DATA}.SignatureStatus": "Unavailable",
        }
    return {
        "file.code_signature.subject_name": signer,
        "file.code_signature.status": "Valid",
        "file.code_signature.valid": True,
        f"{_DATA}.Signed": "true",
        f"{_DATA}.Signature": signer,
        f"{_DATA}.SignatureStatus": "Valid",
    }


def _message(task: str, flat: Fields) -> str:
    """The event's text as Windows renders it: one `Name: value` per line."""
    lines = [f"{task}:", "RuleName: -", f"UtcTime: {UTC_HOLE}"]
    source = "SourceImage" if "access" in task or "Remote" in task else "Image"
    lines.append(f"ProcessGuid: {flat.get('process.entity_id')}")
    lines.append(f"ProcessId: {flat.get('process.pid')}")
    lines.append(f"{source}: {flat.get('process.executable')}")
    if "file.path" in flat:
        lines.append(f"ImageLoaded: {flat['file.path']}")
    if "process.command_line" in flat:
        lines.append(f"CommandLine: {flat['process.command_line']}")
    names = sorted(name for name in flat if name.startswith(f"{_DATA}."))
    lines.extend(f"{name.removeprefix(f'{_DATA}.')}: {flat[name]}" for name in names)
    return "\n".join(lines)
