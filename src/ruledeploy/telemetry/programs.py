"""Programs at the paths and with the signers they truly have; what is not here is unsigned.

Only these are signed in a synthetic event unless a scenario says otherwise, so a program that
borrows a trusted name and runs from elsewhere shows up unsigned, as it would.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ruledeploy.telemetry.seeds import derived

Session = Literal["system", "user"]

DEVICE_PREFIX = r"\device\harddiskvolume3" + "\\"

_PPL_WINDOWS = "PsProtectedSignerWinTcb-Light"
_PPL_ANTIMALWARE = "PsProtectedSignerAntimalware-Light"
_PUBLISHER = "Microsoft Windows Publisher"
_WINDOWS = "Microsoft Windows"
_CORPORATION = "Microsoft Corporation"


@dataclass(frozen=True, slots=True)
class Program:
    """A signed program: where it lies, who signed it, in whose session it runs.

    `protection` is what Windows reports for a protected process (PPL), if it is one.
    """

    path: str
    signer: str
    session: Session = "user"
    protection: str | None = None

    @property
    def name(self) -> str:
        """The file name, spelled as its vendor ships it."""
        return base_name(self.path)


# The programs that a base allowlist for cross-process writes usually trusts.
TRUSTED_WRITERS = (
    Program(r"C:\Windows\System32\svchost.exe", _PUBLISHER, "system"),
    Program(r"C:\Windows\System32\lsass.exe", _PUBLISHER, "system", "PsProtectedSignerLsa-Light"),
    Program(r"C:\Windows\System32\csrss.exe", _PUBLISHER, "system", _PPL_WINDOWS),
    Program(r"C:\Windows\System32\wininit.exe", _PUBLISHER, "system", _PPL_WINDOWS),
    Program(r"C:\Windows\System32\services.exe", _PUBLISHER, "system", _PPL_WINDOWS),
    Program(r"C:\Windows\System32\smss.exe", _PUBLISHER, "system", _PPL_WINDOWS),
    Program(r"C:\Windows\explorer.exe", _WINDOWS),
    Program(r"C:\Windows\System32\rundll32.exe", _WINDOWS),
    Program(r"C:\Windows\System32\WerFault.exe", _WINDOWS),
    Program(r"C:\Windows\System32\WerFaultSecure.exe", _PUBLISHER, "system", _PPL_WINDOWS),
    Program(r"C:\Windows\System32\wermgr.exe", _WINDOWS, "system"),
    Program(r"C:\Windows\System32\consent.exe", _WINDOWS, "system"),
    Program(r"C:\Windows\System32\Taskmgr.exe", _WINDOWS),
    Program(r"C:\Tools\Sysinternals\procexp.exe", _CORPORATION),
    Program(r"C:\Tools\Sysinternals\procexp64.exe", _CORPORATION),
    Program(r"C:\Tools\Sysinternals\procmon.exe", _CORPORATION),
    Program(r"C:\Tools\Sysinternals\procmon64.exe", _CORPORATION),
    Program(r"C:\Windows\System32\vmms.exe", _WINDOWS, "system"),
    Program(r"C:\Program Files\Oracle\VirtualBox\VBoxSVC.exe", "Oracle America, Inc."),
    Program(
        r"C:\Program Files (x86)\VMware\VMware Workstation\vmware-authd.exe",
        "VMware, Inc.",
        "system",
    ),
    Program(
        r"C:\Program Files\Microsoft Visual Studio\2022\Professional\Common7\IDE\devenv.exe",
        _CORPORATION,
    ),
    Program(
        r"C:\Program Files (x86)\Windows Kits\10\Debuggers\x64\windbg.exe",
        _CORPORATION,
    ),
    Program(
        r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.26100.8-0\MsMpEng.exe",
        _PUBLISHER,
        "system",
        _PPL_ANTIMALWARE,
    ),
)

# Everything else that is signed in the scenarios and in the background noise.
OTHERS = (
    Program(r"C:\Program Files\Example EDR\sensor.exe", "Example EDR Ltd", "system"),
    Program(r"C:\Tools\x64dbg\release\x64\x64dbg.exe", "Open Source Developer, Duncan Ogilvie"),
    Program(r"C:\Program Files\dotnet\dotnet.exe", _CORPORATION),
    Program(r"C:\Program Files\nodejs\node.exe", "OpenJS Foundation"),
    Program(r"C:\Program Files\Python312\python.exe", "Python Software Foundation"),
    Program(r"C:\Program Files\Microsoft VS Code\Code.exe", _CORPORATION),
    Program(r"C:\Program Files\Google\Chrome\Application\chrome.exe", "Google LLC"),
    Program(r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe", _CORPORATION),
    Program(r"C:\Program Files\Mozilla Firefox\firefox.exe", "Mozilla Corporation"),
    Program(r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE", _CORPORATION),
    Program(r"C:\Program Files\Microsoft Office\root\Office16\OUTLOOK.EXE", _CORPORATION),
    Program(r"C:\Program Files\7-Zip\7zFM.exe", "Igor Pavlov"),
    Program(r"C:\Program Files\Example Backup\agent.exe", "Example Backup GmbH", "system"),
    Program(r"C:\Windows\System32\notepad.exe", _WINDOWS),
    Program(r"C:\Windows\System32\msiexec.exe", _WINDOWS, "system"),
    Program(r"C:\Windows\System32\RuntimeBroker.exe", _WINDOWS),
    Program(r"C:\Windows\System32\SearchIndexer.exe", _WINDOWS, "system"),
    Program(r"C:\Windows\System32\spoolsv.exe", _WINDOWS, "system"),
    Program(r"C:\Windows\System32\taskhostw.exe", _WINDOWS),
    Program(r"C:\Windows\System32\cmd.exe", _WINDOWS),
    Program(r"C:\Windows\System32\conhost.exe", _WINDOWS),
    Program(r"C:\Windows\System32\winlogon.exe", _WINDOWS, "system"),
    Program(r"C:\Windows\System32\wbem\WmiPrvSE.exe", _WINDOWS, "system"),
    Program(r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", _WINDOWS),
)


def base_name(path: str) -> str:
    r"""The last part of a Windows path, `\Device\…` paths too."""
    return path.rpartition("\\")[2]


def _key(path: str) -> str:
    lowered = path.lower()
    if lowered.startswith(DEVICE_PREFIX):
        return "c:\\" + lowered.removeprefix(DEVICE_PREFIX)
    return lowered


_BY_PATH = MappingProxyType({_key(one.path): one for one in (*TRUSTED_WRITERS, *OTHERS)})


def program_at(path: str) -> Program | None:
    r"""The known program at a path, however it is spelled: any case, drive letter or device."""
    return _BY_PATH.get(_key(path))


# What Windows itself keeps here is signed; other folders below C:\Windows are writable.
_SIGNED_FOLDERS = (
    "c:\\windows\\system32\\",
    "c:\\windows\\syswow64\\",
    "c:\\windows\\winsxs\\",
    "c:\\windows\\microsoft.net\\",
)


def signer_of(path: str) -> str | None:
    """Who signed the file at a path, or None for an unsigned one."""
    program = program_at(path)
    if program is not None:
        return program.signer
    return _WINDOWS if _key(path).startswith(_SIGNED_FOLDERS) else None


def file_hash(path: str) -> str:
    """The SHA-256 that the file at a path is said to have, 64 hex digits."""
    return derived("file", _key(path)).hex()
