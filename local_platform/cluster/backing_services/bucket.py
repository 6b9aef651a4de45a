"""The bucket of tables, objects and MLflow's artifacts."""

from typing import Any

from local_platform.cluster.errors import ClusterError
from local_platform.cluster.settings import S3_BUCKET, ClusterSettings

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 30, 4
OURS_ALREADY = {"BucketAlreadyOwnedByYou"}
MISSING = {"404", "NoSuchBucket", "NotFound"}
HOME_REGION = "us-east-1"
"""AWS refuses a LocationConstraint that names this region."""


def provide(settings: ClusterSettings) -> bool:
    """
    Create the bucket if it does not exist.

    :return: whether it was created.
    :raises ClusterError: if S3 does not respond or refuses the bucket.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    client, name = _client(settings), settings.s3_bucket
    try:
        client.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in MISSING:
            raise _refusal(settings, error) from error
    except BotoCoreError as error:
        advice = "Check CLUSTER_S3_ENDPOINT and the network."
        raise ClusterError(f"S3 at {settings.s3_endpoint} does not respond: {error}. {advice}") from error
    else:
        return False
    try:
        if settings.s3_region == HOME_REGION:
            client.create_bucket(Bucket=name)
        else:
            location = {"LocationConstraint": settings.s3_region}
            client.create_bucket(Bucket=name, CreateBucketConfiguration=location)
    except ClientError as error:
        if error.response["Error"]["Code"] in OURS_ALREADY:
            return False
        raise _refusal(settings, error) from error
    return True


def _client(settings: ClusterSettings) -> Any:
    from boto3.session import Session
    from botocore.config import Config

    session = Session(settings.s3_access_key, settings.s3_secret_key, region_name=settings.s3_region)
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        # Most S3 servers beside AWS have no DNS name for each bucket.
        s3={"addressing_style": "path"},
    )
    return session.client("s3", endpoint_url=settings.s3_endpoint, config=config)


def _refusal(settings: ClusterSettings, error: Exception) -> ClusterError:
    advice = f"Check the keys, or name another bucket in {S3_BUCKET}."
    return ClusterError(f"S3 at {settings.s3_endpoint} refuses bucket '{settings.s3_bucket}': {error}. {advice}")
