"""
The data steps: rows per second, validation against plain pandas, and peak memory as months are added.

``python benchmarks/data_steps.py [--months N] [--repeats N]`` runs every step of every month in a process of its own on
stores in a temporary folder, after the libraries are imported, and measures the same checks written in plain pandas in
the process that measures validation.
"""

import argparse
import io
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from include.contract.code_digest import code_digest  # noqa: E402
from include.contract.command import StepCommand  # noqa: E402 (found only once the root is on the path)
from include.contract.layout import Layer, table_name  # noqa: E402
from include.contract.step_names import StepName  # noqa: E402
from include.runtime.context import StepContext  # noqa: E402
from include.runtime.events import EventLog  # noqa: E402
from include.runtime.runner import run_step  # noqa: E402
from include.spec.checks import (  # noqa: E402
    BetweenCheck,
    Check,
    DistinctCheck,
    InSetCheck,
    LengthCheck,
    MeanCheck,
    NotNullCheck,
    NullShareCheck,
    PairCheck,
    RegexCheck,
)
from include.spec.load import load_project  # noqa: E402
from include.spec.sources import SourceSpec  # noqa: E402
from include.stores.installation import Stores  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PROJECT = "flights"
BASE = "flights"
BOUND_SECONDS = 600
STEPS = (StepName.INGEST, StepName.VALIDATE, StepName.PROFILE, StepName.FEATURES)
LIBRARIES = {
    StepName.INGEST: ("pyarrow.csv", "pyarrow.compute", "deltalake"),
    StepName.VALIDATE: ("pyarrow.compute", "deltalake", "pandas", "great_expectations.expectations"),
    StepName.PROFILE: ("pyarrow.compute", "deltalake", "pandas", "scipy.stats", "skrub"),
    StepName.FEATURES: ("pyarrow.compute", "deltalake", "pandas", "sklearn.feature_selection"),
}
"""Imported before the clock starts; a forked step inherits them from its parent."""


def context_of(step: StepName, partition: str, source: str | None = None) -> StepContext:
    """The context of one call of one step."""
    options = (("source", source),) if source else ()
    return StepContext(
        command=StepCommand(step=step, project=PROJECT, partition=partition, run="benchmark", options=options),
        spec=load_project(PROJECT),
        stores=Stores(),
        events=EventLog(stream=io.StringIO()),
        code=code_digest(step, PROJECT),
    )


def one_step(step: StepName, partition: str, source: str | None) -> dict[str, float]:
    """Run one step in this process; returns seconds of wall time and CPU, rows, and peak memory in MiB."""
    for library in LIBRARIES[step]:
        import_module(library)
    context = context_of(step, partition, source)
    wall, cpu = time.perf_counter(), time.process_time()
    ending = run_step(context)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if ending.error is not None:
        raise SystemExit(str(ending.error))
    counts = context.receipts.receipt(ending.outcome.receipt or "").row_counts
    rows = (
        counts.get("rows_read")
        or counts.get("rows")
        or context.stores.tables.read(
            table_name(PROJECT, Layer.VALIDATED, BASE), partition, columns=[context.spec.base.key[0]]
        ).num_rows
    )
    # ru_maxrss is in KiB on Linux and in bytes on macOS.
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    return {"wall": wall, "cpu": cpu, "rows": rows, "peak_mib": peak_mib}


def in_a_child(environment: dict[str, str], *words: str) -> Any:
    """Run this script in a process of its own; returns the JSON that it prints last."""
    done = subprocess.run(
        [sys.executable, __file__, *words],
        env=environment,
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def limits(check: BetweenCheck) -> tuple[float, float]:
    """The two ends of what is allowed."""
    low = -math.inf if check.min_value is None else check.min_value
    return low, math.inf if check.max_value is None else check.max_value


def pandas_bad_rows(frame: "pd.DataFrame", check: Check) -> "pd.Series[bool] | None":
    """Whether each row breaks a check; None for a check of the partition, which is computed as well."""
    if isinstance(check, PairCheck):
        first, second = frame[check.column_a], frame[check.column_b]
        return ((first < second) if check.or_equal else (first <= second)) & first.notna() & second.notna()
    values = frame[check.column]
    measure: dict[type, Callable[[Any], Any]] = {
        BetweenCheck: lambda one: (
            ~values.between(one.min_value or -math.inf, one.max_value or math.inf) & values.notna()
        ),
        InSetCheck: lambda one: ~values.isin(list(one.value_set)) & values.notna(),
        RegexCheck: lambda one: ~values.str.contains(one.regex, na=True),
        LengthCheck: lambda one: ~values.str.len().between(one.min_value or 0, one.max_value or 2**31) & values.notna(),
        NotNullCheck: lambda _: values.isna(),
        MeanCheck: lambda _: values.mean(),
        DistinctCheck: lambda _: values.nunique(),
        NullShareCheck: lambda _: values.notna().mean(),
    }
    broken = measure[type(check)](check)
    return None if isinstance(check, MeanCheck | DistinctCheck | NullShareCheck) else broken


def pandas_validation(rows: "pa.Table", source: SourceSpec, bounds: tuple[datetime, datetime]) -> "pd.DataFrame":
    """The checks of a source as one would write them by hand in pandas; returns the good rows."""
    frame = rows.to_pandas()
    bad = frame.duplicated(list(source.key))
    for name in source.columns:
        missing = frame[name].isna()
        if name in source.key or source.columns[name].nulls_at_most == 0.0:
            bad |= missing
        elif missing.mean() > source.columns[name].nulls_at_most:
            raise SystemExit(f"{name} is null too often")
    if source.event_time is not None:
        times = frame[source.event_time]
        bad |= (times < bounds[0]) | (times >= bounds[1])
    for check in source.checks:
        broken = pandas_bad_rows(frame, check)
        if broken is not None and check.level == "error":
            bad |= broken
    good: pd.DataFrame = frame[~bad]
    return good


def median_cpu(work: Callable[[], object], repeats: int) -> float:
    """Median of CPU seconds: a busy machine stretches the clock on the wall."""
    took = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return median(took)


def ratios(partitions: list[str], repeats: int) -> list[dict[str, Any]]:
    """Validation of a month of all sources, and of all months of the base source as one partition, against pandas."""
    import pyarrow as pa

    from include.steps.validate.rules import bad_rows, good_rows, validate_source

    spec, tables = load_project(PROJECT), Stores().tables
    month = context_of(StepName.VALIDATE, partitions[0]).partition.bounds(spec.timezone)
    # A day more than the year in UTC: the project's time zone is New York.
    year = (datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 2, tzinfo=UTC))
    raw = {name: tables.read(table_name(PROJECT, Layer.RAW, name), partitions[0]) for name in spec.sources}
    whole = pa.concat_tables(tables.read(table_name(PROJECT, Layer.RAW, BASE), one) for one in partitions)
    cases = {
        f"all sources, {partitions[0]}": ({name: (raw[name], source) for name, source in spec.sources.items()}, month),
        f"{BASE}, {partitions[0]}": ({BASE: (raw[BASE], spec.base)}, month),
        f"{BASE}, {len(partitions)} months as one": ({BASE: (whole, spec.base)}, year),
        f"{BASE}, 12 times that": ({BASE: (pa.concat_tables([whole] * 12), spec.base)}, year),
    }

    def platform(given: dict[str, tuple["pa.Table", SourceSpec]], bounds: tuple[datetime, datetime]) -> None:
        for name, (rows, source) in given.items():
            validation = validate_source(name, rows, source, bounds)
            good_rows(validation)
            bad_rows(validation)

    def plain(given: dict[str, tuple["pa.Table", SourceSpec]], bounds: tuple[datetime, datetime]) -> None:
        for rows, source in given.values():
            pandas_validation(rows, source, bounds)

    rows_of_table = []
    for case, (given, bounds) in cases.items():
        # Once before measuring: the first call imports Great Expectations and pandas' string methods.
        platform(given, bounds)
        plain(given, bounds)
        ours = median_cpu(lambda given=given, bounds=bounds: platform(given, bounds), repeats)  # type: ignore[misc]
        theirs = median_cpu(lambda given=given, bounds=bounds: plain(given, bounds), repeats)  # type: ignore[misc]
        count = sum(rows.num_rows for rows, _ in given.values())
        rows_of_table.append({"case": case, "rows": count, "ours": ours, "pandas": theirs})
    return rows_of_table


def measured(months: int, environment: dict[str, str]) -> Iterator[tuple[StepName, int, dict[str, float]]]:
    """Every step of every month, each in a process of its own; ingest is that of the base source."""
    for number in range(1, months + 1):
        partition = f"2013-{number:02}"
        for source in load_project(PROJECT).sources:
            usage = in_a_child(environment, "--step", "ingest", "--partition", partition, "--source", source)
            if source == BASE:
                yield StepName.INGEST, number, usage
        for step in STEPS[1:]:
            yield step, number, in_a_child(environment, "--step", step.value, "--partition", partition)


def tables_of(months: int, repeats: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="data-steps-") as folder:
        stores = {"ML_TABLES_URI": f"file://{folder}/tables", "ML_OBJECTS_URI": f"file://{folder}/objects"}
        environment = {**os.environ, **stores}
        by_step: dict[StepName, list[dict[str, float]]] = {step: [] for step in STEPS}
        for step, _, usage in measured(months, environment):
            by_step[step].append(usage)
        print("| step | wall s | CPU s | rows | rows a CPU second | peak MiB, first month | last month |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for step, runs in by_step.items():
            wall, cpu = median(run["wall"] for run in runs), median(run["cpu"] for run in runs)
            rows = int(median(run["rows"] for run in runs))
            peaks = f"{runs[0]['peak_mib']:.0f} | {runs[-1]['peak_mib']:.0f}"
            print(f"| {step.value} | {wall:.2f} | {cpu:.2f} | {rows:,} | {rows / cpu:,.0f} | {peaks} |")
        print(f"\nMedians over {months} months; libraries imported before.\n")
        print("| validation of | rows | platform, CPU s | plain pandas, CPU s | ratio |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for one in in_a_child(environment, "--ratios", "--months", str(months), "--repeats", str(repeats)):
            ratio = one["ours"] / one["pandas"]
            print(f"| {one['case']} | {one['rows']:,} | {one['ours']:.3f} | {one['pandas']:.3f} | {ratio:.1f} |")


def main() -> None:
    """Measure everything; in a child process, what the parent requested."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--months", type=int, default=6, help="months to add, from January 2013 (default: 6)")
    words.add_argument("--repeats", type=int, default=5, help="repeats of each validation (default: 5)")
    for name in ("--step", "--partition", "--source"):
        words.add_argument(name, help=argparse.SUPPRESS)
    words.add_argument("--ratios", action="store_true", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.step:
        print(json.dumps(one_step(StepName(given.step), given.partition, given.source)))
    elif given.ratios:
        print(json.dumps(ratios([f"2013-{number:02}" for number in range(1, given.months + 1)], given.repeats)))
    else:
        tables_of(given.months, given.repeats)


if __name__ == "__main__":
    main()
