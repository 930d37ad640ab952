"""How fast rules are converted, beside sigma-cli in the same run.

    SIGMA_RULES=path/to/sigma/rules python benchmarks/bench_convert.py [--rounds N]

sigma-cli runs in a scratch venv under `.cache/`, made on the first run. Its ATT&CK data is seeded
from our bundled table, since it would download it. Each round runs everything once, the peer and
ours in turn, so that a busy minute strikes both; figures are the best of the rounds. What counts
are the ratios: of the clock's seconds, and of the processors' (user and system, all processes),
which say more on a busy machine and give nothing for running two processes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ruledeploy.sigma.attack import load_attack

ROOT = Path(__file__).parents[1]
SCRATCH = ROOT / ".cache" / "bench-sigma"
PEER = ("sigma-cli==3.1.0", "pysigma-backend-elasticsearch==2.1.1", "pysigma-pipeline-windows")
# libyaml, pySigma's objects and its backend, one process: the least a converter on pySigma does.
LOOP = """
import sys, yaml
from pathlib import Path
from sigma.rule import SigmaRule
from sigma.backends.elasticsearch import elasticsearch_{module} as backends
from sigma.pipelines.elasticsearch.windows import ecs_windows
backend = backends.{name}(ecs_windows())
done = refused = 0
for path in sorted(Path(sys.argv[1]).rglob("*.yml")):
    try:
        rule = SigmaRule.from_dict(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader))
        backend.convert_rule(rule)
        done += 1
    except Exception:
        refused += 1
print(f"{{done}} converted, {{refused}} refused", file=sys.stderr)
"""
BACKENDS = {
    "lucene": ("lucene", "LuceneBackend"),
    "esql": ("esql", "ESQLBackend"),
    "eql": ("eql", "EqlBackend"),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One command: its seconds by the clock and of processors, memory, and its last word.

    `megabytes` is the most that all its processes held at once; 0: unknown.
    """

    seconds: float
    processor: float
    megabytes: float
    said: str


def measure(command: Sequence[str], environ: Mapping[str, str]) -> Measured:
    """Run a command and watch its memory. Raises `SystemExit` when it fails."""
    began, used = time.perf_counter(), _used()
    with subprocess.Popen(  # noqa: S603 - our own commands
        command, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        peak: list[float] = [0.0]
        watcher = threading.Thread(target=_watch, args=(run, peak))
        watcher.start()
        _, errors = run.communicate()
        seconds = time.perf_counter() - began
        watcher.join()
    said = errors.decode("utf-8", "replace").strip().splitlines()
    if run.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)} exited {run.returncode}:\n" + "\n".join(said[-5:]))
    return Measured(seconds, _used() - used, peak[0], said[-1] if said else "")


def _used() -> float:
    """Seconds that processors gave to our ended children and theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _watch(run: subprocess.Popen[bytes], peak: list[float]) -> None:
    while run.poll() is None:
        peak[0] = max(peak[0], sum(map(_proportional, _tree(run.pid))))
        time.sleep(0.02)


def _tree(pid: int) -> list[int]:
    """A process and all below it; of Linux only."""
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(found for child in below for found in _tree(int(child)))]


def _proportional(pid: int) -> float:
    """Megabytes of a process, pages shared with others split among them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def peer() -> Path:
    """The scratch venv's folder of programs, sigma-cli installed and its ATT&CK data seeded."""
    programs = SCRATCH / "venv" / "bin"
    if not (programs / "sigma").is_file():
        subprocess.run([sys.executable, "-m", "venv", SCRATCH / "venv"], check=True)  # noqa: S603
        subprocess.run([programs / "pip", "install", "-q", *PEER], check=True)  # noqa: S603
    bundle = SCRATCH / "attack.json"
    bundle.write_text(json.dumps(stix()), "utf-8")
    seed = (
        "import sys; from sigma.data import mitre_attack as m; m.set_url(sys.argv[1]);"
        "m.clear_cache(); m.mitre_attack_techniques"
    )
    command = [str(programs / "python"), "-c", seed, str(bundle)]
    subprocess.run(command, check=True, env=os.environ | HOME)  # noqa: S603
    return programs


HOME = {"HOME": str(SCRATCH)}


def stix() -> dict[str, object]:
    """Our ATT&CK table as the STIX bundle that pySigma reads."""
    table = load_attack("v19")
    tactics = [
        {"type": "x-mitre-tactic", "x_mitre_shortname": short, **_reference(id_)}
        for short, (id_, _) in table.tactics.items()
    ]
    techniques = [
        {
            "type": "attack-pattern",
            "name": each.name,
            "kill_chain_phases": [
                {"kill_chain_name": "mitre-attack", "phase_name": tactic} for tactic in each.tactics
            ],
            **_reference(id_),
        }
        for id_, each in table.techniques.items()
    ]
    return {"type": "bundle", "objects": [*tactics, *techniques]}


def _reference(id_: str) -> dict[str, object]:
    return {"external_references": [{"source_name": "mitre-attack", "external_id": id_}]}


@dataclass(frozen=True, slots=True)
class Row:
    """A command under its name, and the name of the one it is compared with."""

    name: str
    run: Callable[[], Measured]
    against: str = ""


class Bench:
    """The commands that are compared, over one folder of rules."""

    def __init__(self, rules: Path, work: Path) -> None:
        self.rules = rules
        self.work = work
        self.programs = peer()
        # An installed program has its bytecode, as the peer in its venv has; a checkout may not.
        self.ours("lucene", cold=True)
        self.check_anew()

    def rows(self) -> Iterator[Row]:
        """What a round runs, in this order: a warm run uses what the one before it has kept."""
        yield Row("sigma convert, Lucene NDJSON", self.sigma)
        cold = partial(self.ours, "lucene", cold=True)
        yield Row("ours, cold", cold, "sigma convert, Lucene NDJSON")
        yield Row("ours, warm, one rule changed", self.one_changed, "sigma convert, Lucene NDJSON")
        for language in BACKENDS:
            loop = f"bare pySigma loop, {language}"
            yield Row(loop, partial(self.loop, language))
            yield Row(
                f"ours, {language} NDJSON, cold", partial(self.ours, language, cold=True), loop
            )
        yield Row("check, cold", self.check_anew)
        yield Row("check, warm", self.check)

    def sigma(self) -> Measured:
        """sigma-cli: Lucene, as Kibana's NDJSON."""
        out = self.work / "sigma.ndjson"
        command = f"{self.programs}/sigma convert -t lucene -p ecs_windows -f siem_rule_ndjson -s"
        return measure([*command.split(), "-o", str(out), str(self.rules)], HOME)

    def loop(self, language: str) -> Measured:
        """A bare loop over pySigma."""
        module, name = BACKENDS[language]
        code = LOOP.format(module=module, name=name)
        return measure([str(self.programs / "python"), "-c", code, str(self.rules)], HOME)

    def ours(self, language: str, *, cold: bool) -> Measured:
        """Our conversion to NDJSON, from an empty cache or a full one."""
        if cold:
            shutil.rmtree(self.work / "cache", ignore_errors=True)
        command = f"convert {self.rules} --language {language} --format ndjson --skip-refused -o"
        return self.ruledeploy(*command.split(), str(self.work / "ours.ndjson"))

    def ruledeploy(self, *arguments: str) -> Measured:
        """One of our commands."""
        environ = {
            "RULEDEPLOY_CACHE_DIR": str(self.work / "cache"),
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        return measure([sys.executable, "-m", "ruledeploy", *arguments], environ)

    def one_changed(self) -> Measured:
        """Our conversion again after an edit of one rule."""
        rule = next(path for path in sorted(self.rules.rglob("*.yml")))
        rule.write_text(rule.read_text("utf-8") + f"\n# {time.time_ns()}\n", "utf-8")
        return self.ours("lucene", cold=False)

    def check_anew(self) -> Measured:
        """`check` from an empty cache."""
        shutil.rmtree(self.work / "cache", ignore_errors=True)
        return self.check()

    def check(self) -> Measured:
        """`check` over a project of these rules."""
        settings = '[project]\nname = "bench"\n[env.local]\nkibana_url = "embedded:"\n'
        (self.work / "ruledeploy.toml").write_text(settings)
        return self.ruledeploy("check", "-C", str(self.work))


def main() -> None:
    """Print a table of seconds, memory and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    given = os.environ.get("SIGMA_RULES")
    if not given:
        print("SIGMA_RULES is not set: nothing to convert, nothing measured")
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        # A copy, since one rule is edited.
        shutil.copytree(given, work / "rules")
        report(Bench(work / "rules", work), rounds)


def report(bench: Bench, rounds: int) -> None:
    """Measure everything so many times and print the best of each."""
    rows = list(bench.rows())
    found: dict[str, list[Measured]] = defaultdict(list)
    load = [os.getloadavg()[0]]
    for _ in range(rounds):
        for row in rows:
            found[row.name].append(row.run())
            load.append(os.getloadavg()[0])
    print(f"{rounds} rounds, load {min(load):.1f} to {max(load):.1f}")
    print(f"{'':30} {'clock':>8} {'':8} {'processor':>9} {'':8} {'memory':>8}")
    best = {name: _best(runs) for name, runs in found.items()}
    for row in rows:
        print(line(row.name, best[row.name], best.get(row.against)))


def _best(runs: Sequence[Measured]) -> Measured:
    """The least of either time, and the most memory."""
    return Measured(
        min(run.seconds for run in runs),
        min(run.processor for run in runs),
        max(run.megabytes for run in runs),
        runs[-1].said,
    )


def line(name: str, one: Measured, against: Measured | None) -> str:
    """One line of the table."""
    clock = f"{against.seconds / one.seconds:6.1f} x" if against else ""
    processor = f"{against.processor / one.processor:6.1f} x" if against else ""
    memory = f"{one.megabytes:.0f} MB" if one.megabytes else ""
    times = f"{one.seconds:6.2f} s {clock:8} {one.processor:7.2f} s {processor:8}"
    return f"{name:30} {times} {memory:>8}  {one.said[-40:]}"


if __name__ == "__main__":
    main()
