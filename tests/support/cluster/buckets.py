"""
Removes the bucket that ``CLUSTER_S3_BUCKET`` names, and its objects: ``python -m tests.support.cluster.buckets``.

A process of its own, for what a session of tests leaves is removed after its last test, which may connect nowhere.
"""

import os
from typing import Any

from local_platform.cluster.settings import ClusterSettings


def client(given: ClusterSettings) -> Any:
    """boto3's client for the S3 of a cluster."""
    import boto3

    return boto3.client(
        "s3", endpoint_url=given.s3_endpoint, region_name=given.s3_region, aws_access_key_id=given.s3_access_key,
        aws_secret_access_key=given.s3_secret_key,
    )  # fmt: skip


def remove(given: ClusterSettings) -> None:
    """Remove it; nothing if there is none."""
    s3, name = client(given), given.s3_bucket
    if name not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        return
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for one in page.get("Contents", []):
            s3.delete_object(Bucket=name, Key=one["Key"])
    s3.delete_bucket(Bucket=name)


if __name__ == "__main__":
    remove(ClusterSettings.from_environment(os.environ))
