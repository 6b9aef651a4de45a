"""
The project ``faults``: put into a copy of the bundle, and its days into the bucket.

What the feature function does on a day stands in the day's rows: ``well`` (nothing), ``sleep 30`` (seconds), ``talk
30`` (a line a second), ``allocate 700`` (MiB), ``spawn 300`` (a child that outlives it, for seconds), ``raise x``.
It prints ``faults: … begins`` before and ``faults: … ends`` after.
"""

import random
import shutil
from pathlib import Path
from typing import Any

NAME = "faults"
SOURCE = Path(__file__).parent / "projects" / NAME
ROWS = 120


def install(bundle: Path, bucket: str) -> None:
    """Put the project into a bundle."""
    folder = bundle / "include" / "projects" / NAME
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "__init__.py").write_text('"""Parcels that misbehave."""\n')
    spec = folder / "project.yaml"
    spec.write_text(spec.read_text().replace("s3://BUCKET/", f"s3://{bucket}/"))


def put_day(client: Any, bucket: str, partition: str, behaviour: str = "well") -> None:
    """
    Write one day's source file.

    :param client: boto3's S3 client.
    :param partition: ``2024-01-05``.
    """
    client.put_object(Bucket=bucket, Key=f"sources/{NAME}/{partition}.csv", Body=day(partition, behaviour).encode())


def day(partition: str, behaviour: str) -> str:
    """One day's rows: the heavier a parcel, the later it comes, as a rule."""
    chance = random.Random(partition)  # noqa: S311 (the same rows each time)
    lines = ["number,ordered,weight,days,behaviour"]
    for number in range(ROWS):
        weight = chance.uniform(0.0, 10.0)
        days = weight / 2 + chance.gauss(0.5, 1.0)
        moment = f"{partition}T{number * 10 // 60:02d}:{number * 10 % 60:02d}:00Z"
        lines.append(f"{number},{moment},{weight:.3f},{days:.3f},{behaviour}")
    return "\n".join([*lines, ""])
