"""Everything in an installation that must not hold a secret, as bytes, and the search for secrets in it."""

import base64
import io
import json
import subprocess
import urllib.parse
from collections.abc import Iterator, Mapping

from local_platform.cluster import manifests
from local_platform.cluster.backing_services import passwords
from tests.support.cluster.running_platform import ClusterPlatform

SHORTEST = 8
"""Characters; a shorter text occurs in other words, and is nobody's secret."""
OF_THE_CLUSTER = ("pods", "events", "configmaps", "deployments", "services", "replicasets", "horizontalpodautoscalers")


def secrets_of(platform: ClusterPlatform) -> dict[str, str]:
    """Every password, key and token of the installation, by what it is for."""
    made, local = passwords.provide(platform.state.secrets), platform.settings.credentials
    token = platform.kubectl.get("secret", manifests.AIRFLOW_TOKEN, "--namespace", manifests.PLATFORM)["data"]["token"]
    secrets = {f"database {name}": password for name, password in made.databases.items()}
    secrets |= {f"Airflow's user {name}": password for name, password in local.passwords.items()}
    secrets |= {f"Airflow's key {name}": key for name, key in local.keys.items()}
    secrets |= {
        "S3 access key": platform.given.s3_access_key,
        "S3 secret key": platform.given.s3_secret_key,
        "PostgreSQL": made.postgres,
        "MLflow's administrator": made.mlflow,
        "MLflow's user of the steps": made.mlflow_steps,
        "MLflow's key": made.mlflow_key,
        "Airflow's token of the cluster": base64.b64decode(token).decode(),
    }
    return {name: value for name, value in secrets.items() if len(value) >= SHORTEST}


def hits(contents: Mapping[str, bytes], secrets: Mapping[str, str]) -> set[tuple[str, str]]:
    """Location and name of each secret that occurs: as it is, quoted, as hexadecimal digits or in base64."""
    return {
        (location, name)
        for name, value in secrets.items()
        for shape in _shapes(value)
        for location, data in contents.items()
        if shape in data
    }


def _shapes(value: str) -> set[bytes]:
    raw = value.encode()
    login = base64.b64encode(f"{passwords.MLFLOW_STEPS}:{value}".encode())
    written = {value, urllib.parse.quote(value, safe=""), json.dumps(value)[1:-1], raw.hex()}
    return {raw, base64.b64encode(raw), login, *(text.encode() for text in written)}


def everywhere(platform: ClusterPlatform) -> dict[str, bytes]:
    """All contents, by location."""
    return dict(
        [
            *_files(platform),
            *_databases(platform),
            *_cluster(platform),
            *_logs_of_pods(platform),
            *_objects(platform),
        ]
    )


def _files(platform: ClusterPlatform) -> Iterator[tuple[str, bytes]]:
    """Logs of tasks and of services of this machine, and the manifests as they were applied."""
    for folder in (platform.state.airflow / "logs", platform.state.logs, platform.state.root / "manifests"):
        for path in folder.rglob("*"):
            if path.is_file():
                yield f"file {path.relative_to(platform.state.root)}", path.read_bytes()


def _databases(platform: ClusterPlatform) -> Iterator[tuple[str, bytes]]:
    """Every row of every table of Airflow's and MLflow's databases: rendered templates, XCom, parameters, tags."""
    import psycopg2
    from psycopg2.sql import SQL, Identifier

    made = passwords.provide(platform.state.secrets)
    location = (
        platform.given.postgres.rpartition("@")[2].partition("/")[0] or f"127.0.0.1:{platform.settings.ports.postgres}"
    )
    for name, password in made.databases.items():
        connection = psycopg2.connect(f"postgresql://{name}:{password}@{location}/{name}")
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = 'public'")
            for schema, table in cursor.fetchall():
                cursor.execute(SQL("SELECT t::text FROM {} t").format(Identifier(schema, table)))
                yield f"database {name}, table {table}", "\n".join(row[0] for row in cursor.fetchall()).encode()
        connection.close()


def _cluster(platform: ClusterPlatform) -> Iterator[tuple[str, bytes]]:
    """What the API server tells of the platform's namespaces, Secrets aside."""
    for namespace in manifests.NAMESPACES:
        for kind in OF_THE_CLUSTER:
            objects = platform.kubectl.get(kind, "--namespace", namespace)
            yield f"{kind} in {namespace}", json.dumps(objects, ensure_ascii=False).encode()


def _logs_of_pods(platform: ClusterPlatform) -> Iterator[tuple[str, bytes]]:
    for namespace in manifests.NAMESPACES:
        for pod in platform.kubectl.get("pods", "--namespace", namespace).get("items", []):
            name = pod["metadata"]["name"]
            words = ["kubectl", "logs", name, "--namespace", namespace, "--all-containers"]
            done = subprocess.run(words, env=platform.kubectl.environment, check=False, capture_output=True)
            yield f"log of pod {name}", done.stdout


def _objects(platform: ClusterPlatform) -> Iterator[tuple[str, bytes]]:
    """Every object of the bucket: tables, receipts, reports, bundles, artifacts; rows of tables as text, too."""
    import pyarrow.parquet as pq

    s3, bucket = platform.s3, platform.given.s3_bucket
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page.get("Contents", []):
            data = s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
            yield f"object {one['Key']}", data
            if one["Key"].endswith(".parquet") and data.startswith(b"PAR1"):
                yield f"rows of {one['Key']}", str(pq.read_table(io.BytesIO(data)).to_pydict()).encode()
