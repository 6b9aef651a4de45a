"""
Steps as pods, measured side by side with bare pods as ``kubectl run`` creates them.

``python benchmarks/pods.py``, with the cluster described as docs/how-to/cluster.md says, brings the platform up
with ``make cluster-up``, does the year's work once with ``make cluster-run`` (work that is done already is skipped),
measures, and leaves the platform running; ``make cluster-down`` ends it. ``--as-it-is`` measures a platform that runs.

Measure only an installation that serves nobody: the benchmark deletes receipts of one partition to have it done again,
runs the data DAG of all twelve months, and trains one more model to switch the served one. Run it on a machine that
does nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.pod_airflow import MeasuredAirflow, TaskTimes, until  # noqa: E402 (the path is set only now)
from benchmarks.pod_floor import BarePods, Life  # noqa: E402
from benchmarks.pod_image import image_size  # noqa: E402
from benchmarks.service_usage import memory_of  # noqa: E402
from include.contract.layout import bundle_prefix, receipts_prefix  # noqa: E402
from include.contract.partition import Partition  # noqa: E402
from include.contract.step_names import StepName  # noqa: E402
from include.runtime.receipts import ReceiptReader  # noqa: E402
from include.spec.load import load_project  # noqa: E402
from include.stores.installation import Stores  # noqa: E402
from local_platform.cluster import environment, pods  # noqa: E402
from local_platform.cluster.settings import ClusterSettings  # noqa: E402
from local_platform.demo import served_model, summary  # noqa: E402
from local_platform.demo.airflow_api import DagRun  # noqa: E402
from local_platform.demo.year_job import PROJECT, SCORED  # noqa: E402
from local_platform.locations import State  # noqa: E402
from local_platform.services import lifecycle  # noqa: E402

STEPS, SERVING = "ml-steps", "ml-serving"
MONTHS = [f"2013-{number:02d}" for number in range(1, 13)]
SERVING_PORT = 8080
STREAM_SECONDS = 900
SLEEPING_SECONDS = 20.0
"""How long memory is sampled: the triggers of deferred tasks poll their pods in between."""
AIRFLOW = ("airflow-scheduler", "airflow-triggerer")
"""LocalExecutor's workers belong to the scheduler."""
HERE = Path(__file__).parent
KINDS = {StepName.SCORE.value: "scoring", StepName.VALIDATE.value: "data"}
"""Steps that are alone while they work, and the DAG of each; only ``score`` needs a champion."""


class Bench:
    """The platform that runs, and bare pods beside it."""

    def __init__(self, bare: BarePods, given: ClusterSettings, step: str, repetitions: int) -> None:
        self.bare = bare
        self.given = given
        self.step = step
        self.repetitions = repetitions
        self.settings = lifecycle.recall(State.from_environment("cluster"))
        password = self.settings.credentials.passwords["admin"]
        self.airflow = MeasuredAirflow(self.settings.ports.airflow_url, "admin", password)
        self.spec = load_project(PROJECT)
        reached = environment.as_reached_here(self.settings, given)
        os.environ.update(reached)
        self.stores = Stores(reached)

    @cached_property
    def pattern(self) -> Any:
        """The step's pod as Airflow creates it; bare pods get the same specification."""
        requested, run = self._begin()
        pod = until(lambda: self.bare.of_run(run.run, self.step) or None, f"the pod of {run.run}")[0]
        self._end(run, requested)
        return pod

    def task(self) -> TaskTimes:
        """The step once through Airflow, in a run of its own."""
        requested, run = self._begin()
        return self._end(run, requested)

    def bare_words(self, **changed: str) -> list[str]:
        """Arguments of the pattern for another run, with some of them changed."""
        words = list(self.pattern.spec.containers[0].args)
        for name, value in {"run": f"benchmark-{time.time_ns()}", **changed}.items():
            words[words.index(f"--{name}") + 1] = value
        return words

    def bare_pod(self) -> Life:
        """The same as a bare pod."""
        (life,) = self.bare.run([self.bare.twin(self.pattern, self.bare_words())])
        return life

    def forget(self) -> None:
        """Delete the step's receipts of the partition, so that it is done again."""
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.given.s3_endpoint,
            region_name=self.given.s3_region,
            aws_access_key_id=self.given.s3_access_key,
            aws_secret_access_key=self.given.s3_secret_key,
        )
        prefix = f"objects/{receipts_prefix(PROJECT, self.step, SCORED)}"
        for row in client.list_objects_v2(Bucket=self.given.s3_bucket, Prefix=prefix).get("Contents", []):
            client.delete_object(Bucket=self.given.s3_bucket, Key=row["Key"])

    def _begin(self) -> tuple[datetime, DagRun]:
        dag, requested = f"{PROJECT}_{KINDS[self.step]}", datetime.now(UTC)
        self.airflow.unpause(dag)
        return requested, self.airflow.trigger(dag, f"benchmark__{time.time_ns()}", {"partition": SCORED})

    def _end(self, run: DagRun, requested: datetime) -> TaskTimes:
        self.airflow.run_done(run)
        return self.airflow.task_done(run, self.step, requested)


def overhead(bench: Bench) -> None:
    """One step through Airflow against one bare pod, its work done before and done afresh."""
    _ = bench.pattern
    print(f"\none step ({bench.step} {SCORED}), median of {bench.repetitions}:")
    print(f"{'':24}{'bare pod':>10}{'task':>10}{'more':>10}{'  request to start':>18}{'bare pod runs after':>22}")
    for label, prepare in (("work done before", lambda: None), ("work done afresh", bench.forget)):
        tasks: list[TaskTimes] = []
        lives: list[Life] = []
        for _ in range(bench.repetitions):
            # Alternating, so that both meet the same load of the machine.
            prepare()
            lives.append(bench.bare_pod())
            prepare()
            tasks.append(bench.task())
        floor, took = median(life.ended for life in lives), median(task.took for task in tasks)
        print(
            f"{label:24}{floor:8.2f} s{took:8.2f} s{took - floor:8.2f} s{median(task.waited for task in tasks):16.2f} s"
            f"{median(life.running for life in lives):20.2f} s"
        )


def at_once(bench: Bench) -> None:
    """Ingest of twelve partitions at once and one after another, and a backfill of the year."""
    dag, task = f"{PROJECT}_data", StepName.INGEST.value
    bounds = _bounds(bench)
    runs, seconds = _year(bench, dag, bounds)
    print(f"\n{len(runs)} months of {dag} in one backfill, all steps: {seconds:.1f} s")
    requested = bench.airflow.task_of_all_again(dag, bounds, task)
    done = [bench.airflow.task_done(run, task, requested) for run in runs]
    together, alone = max(times.whole for times in done), 0.0
    for run in runs:
        bench.airflow.run_done(run)
        alone += bench.airflow.task_done(run, task, bench.airflow.task_again(run, task)).whole
    lives = bench.bare.run([bench.bare.twin(bench.pattern, bench.bare_words()) for _ in runs])
    bare_together = max(life.ended for life in lives)
    bare_alone = sum(bench.bare_pod().ended for _ in runs)
    print(f"{'':24}{'at once':>10}{'in a row':>10}{'ratio':>10}")
    for label, first, second in (
        (f"{len(runs)} tasks ({task})", together, alone),
        (f"{len(runs)} bare pods ({bench.step})", bare_together, bare_alone),
    ):
        print(f"{label:24}{first:8.1f} s{second:8.1f} s{second / first:9.2f}x")


def _bounds(bench: Bench) -> tuple[datetime, datetime]:
    ends = [Partition.parse(month, bench.spec.grain) for month in (MONTHS[0], MONTHS[-1])]
    begin, end = (partition.bounds(bench.spec.timezone)[0] for partition in ends)
    return begin, end


def _year(bench: Bench, dag: str, bounds: tuple[datetime, datetime]) -> tuple[list[DagRun], float]:
    """Run all months at once in one backfill; its limit of active runs holds when its runs are cleared later, too."""
    bench.airflow.unpause(dag)
    until(lambda: True if not bench.airflow.has_active_backfill(dag) else None, "the last backfill to be complete")
    began = time.monotonic()
    bench.airflow.backfill_again(dag, *bounds, len(MONTHS))
    between = {"logical_date_gte": bounds[0].isoformat(), "logical_date_lte": bounds[1].isoformat()}
    runs = [bench.airflow.run_done(run) for run in bench.airflow.runs(dag, **between)]
    return runs, time.monotonic() - began


def deferred(bench: Bench) -> None:
    """Memory of Airflow while tasks are deferred whose pods no node can take."""
    dag, step = f"{PROJECT}_data", StepName.INGEST.value
    # No node has this label: the pods stay pending, and their tasks deferred.
    nowhere = {step: {"node_selector": {"ml-platform.org/benchmark": "nowhere"}}}
    before = _memory(bench)
    names = [f"benchmark__{time.time_ns()}_{month}" for month in MONTHS[: bench.spec.schedule.runs_at_once]]
    runs = [bench.airflow.trigger(dag, name, {"partition": name[-7:], "resources": nowhere}) for name in names]
    count = len(runs)
    try:
        until(lambda: True if _deferred_count(bench, runs) == count else None, f"{count} tasks to be deferred", 600.0)
        asleep = _memory(bench)
    finally:
        for run in runs:
            bench.airflow.fail(run)
        until(lambda: True if not _deferred_count(bench, runs) else None, "the tasks to end", 600.0)
        for run in runs:
            bench.bare.remove(bench.bare.of_run(run.run, step))
    after = _memory(bench)
    # The mean of before and after removes a drift of the services' own memory.
    more = (asleep - (before + after) / 2) * 1024 / count
    print(
        f"\nscheduler, workers and triggerer: {before:.0f} MiB before, {asleep:.0f} MiB with {count} deferred tasks, "
        f"{after:.0f} MiB after; {more:.0f} KiB a task"
    )


def _deferred_count(bench: Bench, runs: Sequence[DagRun]) -> int:
    tasks = bench.airflow.tasks(runs[0].dag, [run.run for run in runs])
    return sum(task.state == "deferred" for task in tasks)


def _memory(bench: Bench) -> float:
    """Median memory over 20 s, in MiB."""
    samples, until_then = [], time.monotonic() + SLEEPING_SECONDS
    while time.monotonic() < until_then:
        samples.append(memory_of(bench.settings.state.root, AIRFLOW))
        time.sleep(1.0)
    return median(samples)


def image(bench: Bench) -> None:
    """The step image: its size, and the parts of a step's start."""
    reference = bench.pattern.spec.containers[0].image
    compressed = image_size(reference, is_plain=bench.given.registry.startswith("http://"))
    probe = bench.bare.twin(bench.pattern, program=["python", "-c", (HERE / "pod_probe.py").read_text()])
    _set_variables(probe, PROBE_WORDS=json.dumps(bench.bare_words()))
    (life,) = bench.bare.run([probe])
    results = json.loads(life.output.splitlines()[-1])
    print(f"\nstep image: {compressed:.0f} MiB compressed, {results['file_mib']:.0f} MiB unpacked")
    first, end = results["first_line"]
    print(
        f"container runs {life.running:.2f} s after the request; interpreter {results['interpreter']:.2f} s, "
        f"step's first line {first:.2f} s and end {end:.2f} s after its start"
    )
    imports = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in results["imports"].items())
    print(f"imports, each in a fresh interpreter: {imports}")


def training(bench: Bench, run: DagRun | None = None) -> None:
    """How long the steps of a training took."""
    dag = f"{PROJECT}_training"
    done = [one for one in bench.airflow.runs(dag) if one.state == "success"]
    chosen = run or (done[-1] if done else None)
    if chosen is None:
        print(f"\nno run of {dag} has succeeded yet")
        return
    results = summary.Findings(ReceiptReader(bench.stores.objects, PROJECT), [chosen])
    print(f"\n{dag} {chosen.run}:")
    for line in pods.pods(bench.airflow.tasks(dag, [chosen.run]), results.outcomes):
        print(f"  {line}")


def switch(bench: Bench) -> None:
    """
    Requests from another pod while one more training deploys its model.

    They begin after evaluation: earlier they would scale the served model up, and a small cluster then has no room for
    the training.
    """
    name = bench.spec.model.name.replace("_", "-")
    identity = served_model.identify(bench.settings.ports.serving_url, 20.0)
    golden = json.loads(bench.stores.objects.get(f"{bundle_prefix(PROJECT, identity.digest)}golden.json"))["rows"]
    body = {"dataframe_split": {"columns": golden["columns"], "data": golden["data"][:1]}}
    stream = bench.bare.twin(bench.pattern, program=["python", "-c", (HERE / "pod_stream.py").read_text()])
    url = f"http://{name}.{SERVING}:{SERVING_PORT}"
    _set_variables(stream, STREAM_URL=url, STREAM_BODY=json.dumps(body), STREAM_SECONDS=str(STREAM_SECONDS))
    # The stream must not take the room of the new model's pod.
    stream.spec.containers[0].resources.requests["cpu"] = "100m"
    conf = {"as_of": _next_as_of(bench), "window": bench.spec.split.window, "promote": "yes"}
    dag = f"{PROJECT}_training"
    bench.airflow.unpause(dag)
    run = bench.airflow.trigger(dag, f"benchmark__{time.time_ns()}", conf)
    until(lambda: True if _is_evaluated(bench, run) else None, f"the evaluation of {run.run}", 1200.0)
    began = time.monotonic()
    bench.bare.start([stream])
    run = bench.airflow.run_done(run)
    (life,) = bench.bare.watch([stream.metadata.name], began)
    seen = json.loads(life.output.splitlines()[-1])
    training(bench, run)
    if len(seen["versions"]) < 2:
        print(f"no switch: the model as of {conf['as_of']} was not deployed; see the gates of {run.run}")
    print(
        f"during the switch: {seen['requests']} requests, {seen['failed']} failed {seen['failures'] or ''}, longest "
        f"time without a response {seen['longest_silence']:.2f} s, responses by version {seen['versions']}"
    )


def _is_evaluated(bench: Bench, run: DagRun) -> bool:
    succeeded = {task.task for task in bench.airflow.tasks(run.dag, [run.run]) if task.state == "success"}
    return StepName.EVALUATE.value in succeeded or bench.airflow.run(run.dag, run.run).has_ended


def _next_as_of(bench: Bench) -> str:
    """The first month's end that is later than all trainings: the champion never moves backwards."""
    ends = [*(f"{month}-01" for month in MONTHS[1:]), "2014-01-01"]
    known = [str(run.conf.get("as_of") or "") for run in bench.airflow.runs(f"{PROJECT}_training")]
    later = [end for end in ends if end > max(known, default="")]
    if not later:
        raise SystemExit("All months have been trained on; start with an empty installation to see a switch.")
    return later[0]


def _set_variables(pod: Any, **variables: str) -> None:
    from kubernetes.client import V1EnvVar

    pod.spec.containers[0].env += [V1EnvVar(name=name, value=value) for name, value in variables.items()]


PARTS: dict[str, Callable[[Bench], None]] = {
    "overhead": overhead,
    "image": image,
    "at-once": at_once,
    "waiting": deferred,
    "training": training,
    "switch": switch,
}


def prepare() -> Iterator[str]:
    """Start the platform and do the year's work; yields each command after its end."""
    for word in ("cluster-up", "cluster-run"):
        subprocess.run([sys.executable, "-m", "local_platform", word], cwd=ROOT, check=True)
        yield word


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--as-it-is", action="store_true", help="measure the platform that runs, and run nothing before"
    )
    parser.add_argument("--repetitions", type=int, default=5, help="of each single step (default: 5)")
    parser.add_argument("--step", choices=KINDS, default=StepName.SCORE.value, help="measured alone (default: score)")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)} (default: all)")
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - PARTS.keys())
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    given = ClusterSettings.from_environment(os.environ)
    if not options.as_it_is:
        for word in prepare():
            print(f"make {word}: done", flush=True)
    with BarePods(given.kubeconfig, STEPS) as bare:
        bench = Bench(bare, given, options.step, options.repetitions)
        for name in options.parts or PARTS:
            PARTS[name](bench)
    print("\n'more' is what a task takes beyond a bare pod of the same image, arguments, resources and environment.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
