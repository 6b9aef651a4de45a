"""What a partition of the project ``faults`` must hold after a successful run, whatever failed meanwhile."""

import json
import os
import subprocess
import sys
from pathlib import Path

from include.contract import settings
from include.contract.layout import Layer, table_name
from include.contract.receipt import Receipt, TableState
from include.contract.step_names import StepName
from include.runtime.receipts import ReceiptReader
from include.spec.load import load_project
from include.spec.project import ProjectSpec
from include.stores.installation import Stores
from local_platform import cli
from tests.support.cluster import fault_project
from tests.support.cluster.running_platform import ClusterPlatform

SOURCE = "parcels"
STEPS = {StepName.INGEST: f"/{SOURCE}", StepName.VALIDATE: "", StepName.PROFILE: "", StepName.FEATURES: ""}
"""Steps of the data DAG, and what follows the partition in the name of what each works on."""
QUIET_SECONDS = 120.0


def spec(platform: ClusterPlatform) -> ProjectSpec:
    """The project's spec, as it is in the platform's bundle."""
    return load_project(fault_project.NAME, platform.bundle / "include" / "projects")


def require_once(platform: ClusterPlatform, stores: Stores, partition: str) -> None:
    """
    Fail unless each step has one receipt, and each table one commit with the content that the receipt states.

    :param stores: the platform's.
    """
    evidence = ReceiptReader(stores.objects, fault_project.NAME)
    for step, rest in STEPS.items():
        (receipt,) = evidence.receipts(step, f"{partition}{rest}")
        for table in _tables(receipt):
            there = stores.tables.state(table.name, partition)
            assert there is not None, table
            assert (there.digest, there.row_count) == (table.digest, table.row_count), table
            assert commits(platform, table.name, partition) == 1, table


def require_same_content(platform: ClusterPlatform, stores: Stores, partition: str, folder: Path) -> None:
    """
    Fail unless the features are those that the same steps make on this machine, without a fault.

    :param folder: for what they make.
    """
    platform.put_day(partition)
    features = table_name(fault_project.NAME, Layer.FEATURES, spec(platform).feature_set.table)
    here, there = (
        _locally(platform, partition, folder).tables.state(features, partition),
        stores.tables.state(features, partition),
    )
    assert here is not None
    assert there is not None
    assert (here.digest, here.row_count) == (there.digest, there.row_count)
    assert there.row_count == fault_project.ROWS


def commits(platform: ClusterPlatform, table: str, partition: str) -> int:
    """How many commits of a table brought files of a partition."""
    s3, bucket = platform.s3, platform.given.s3_bucket
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"tables/{table}/_delta_log/").get("Contents", [])
    keys = [one["Key"] for one in listed if one["Key"].endswith(".json")]
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys]
    return sum(partition in _added(body) for body in bodies)


def _added(commit: str) -> set[str]:
    added = [action["add"] for action in map(json.loads, commit.splitlines()) if "add" in action]
    return {value for one in added for value in one["partitionValues"].values()}


def _tables(receipt: Receipt) -> list[TableState]:
    return [state for state in receipt.outputs if isinstance(state, TableState)]


def _locally(platform: ClusterPlatform, partition: str, folder: Path) -> Stores:
    """The steps of the data DAG, one after another, as processes of this machine and in a folder."""
    variables = {name: value.format(state=folder) for name, value in settings.LOCAL_DEFAULTS.items()}
    kept = {name: value for name, value in platform.store_environment().items() if name.startswith("AWS_")}
    own = {name: value for name, value in os.environ.items() if not name.startswith(cli.FOREIGN)}
    for step in ("ingest", "validate", "features"):
        arguments = ["--project", fault_project.NAME, "--partition", partition, "--run", "undisturbed"]
        done = subprocess.run(
            [sys.executable, "-m", "include.steps", step, *arguments], cwd=platform.bundle,
            env=own | kept | variables, check=False, text=True, capture_output=True, timeout=QUIET_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    return Stores(variables)
