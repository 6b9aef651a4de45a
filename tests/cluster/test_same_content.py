"""The same partition, once with every step a pod and S3, once as processes on this machine and a directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.contract import settings
from include.contract.layout import Layer, table_name
from include.spec.load import load_project
from include.stores.installation import Stores
from local_platform import cli
from tests.support.cluster.running_platform import ClusterPlatform

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.needs("postgresql")]

PROJECT, PARTITION = "flights", "2013-01"


def run_locally(folder: Path) -> Stores:
    """The steps of the data DAG, one after another."""
    told = {name: value.format(state=folder) for name, value in settings.LOCAL_DEFAULTS.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(cli.FOREIGN)}
    for step in ("ingest", "validate", "features"):
        words = [sys.executable, "-m", "include.steps", step, "--project", PROJECT, "--partition", PARTITION]
        done = subprocess.run([*words, "--run", "local"], env=kept | told, check=False, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return Stores(told)


def test_local_and_pod_run_give_the_same_tables(
    cluster_platform: ClusterPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = cluster_platform.start(f"{PROJECT}_data", partition=PARTITION)
    here = run_locally(tmp_path).tables
    ended = cluster_platform.wait(run)
    assert ended.state == "success", cluster_platform.report()
    there = cluster_platform.stores(monkeypatch).tables
    spec = load_project(PROJECT)
    names = [table_name(PROJECT, layer, source) for layer in (Layer.RAW, Layer.VALIDATED) for source in spec.sources]
    for name in (*names, table_name(PROJECT, Layer.FEATURES, spec.feature_set.table)):
        local, pod = here.state(name, PARTITION), there.state(name, PARTITION)
        assert local, name
        assert pod, name
        assert (local.digest, local.row_count) == (pod.digest, pod.row_count), name
