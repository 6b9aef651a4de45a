from pathlib import Path

import boto3
import pytest

from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.steps.ingest.fetch_s3 import s3_pieces
from include.steps.ingest.location import Location
from tests.support.data_steps import HEADER, Shop, orders
from tests.support.servers.s3_server import BUCKET, Fault, S3Server


def test_a_source_is_ingested(s3: S3Server, tmp_path: Path) -> None:
    boto3.client("s3").put_object(Bucket=BUCKET, Key="in/orders-2013-03.csv", Body=(HEADER + orders(4)).encode())
    shop = Shop(tmp_path, overrides={"location": f"s3://{BUCKET}/in/orders-{{partition}}.csv"})
    receipt = shop.receipt(shop.ingest())
    assert receipt.inputs[0].name == f"s3://{BUCKET}/in/orders-2013-03.csv"
    assert len(shop.rows("raw/orders")) == 4


@pytest.mark.parametrize("bucket", [BUCKET])
def test_a_missing_object(s3: S3Server, bucket: str) -> None:
    with pytest.raises(DataRejectedError, match=r"S3 responded with NoSuchKey \(404\): no such object"):
        list(s3_pieces(Location(f"s3://{bucket}/gone.csv")))


def test_a_missing_bucket(s3: S3Server) -> None:
    with pytest.raises(ConfigurationError, match=r"S3 responded with NoSuchBucket \(404\) and refuses"):
        list(s3_pieces(Location("s3://gone/gone.csv")))


def test_a_refusal(s3: S3Server) -> None:
    s3.break_with(Fault("denied"))
    with pytest.raises(ConfigurationError, match=r"S3 responded with AccessDenied \(403\) and refuses"):
        list(s3_pieces(Location(f"s3://{BUCKET}/a.csv")))


def test_a_busy_server(s3: S3Server) -> None:
    s3.break_with(Fault("slow_down"))
    with pytest.raises(TemporaryError, match=r"S3 responded with SlowDown \(503\) and cannot serve the object now"):
        list(s3_pieces(Location(f"s3://{BUCKET}/a.csv"), attempts=1))


def test_a_silent_server(s3: S3Server) -> None:
    s3.break_with(Fault("hang", path="slow.csv"))
    with pytest.raises(TemporaryError, match=r"did not respond: Read timeout"):
        list(s3_pieces(Location(f"s3://{BUCKET}/slow.csv"), attempts=1, silence_seconds=0.3))


def test_no_credentials(s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=r"Unable to locate credentials\. Check the AWS_… variables"):
        list(s3_pieces(Location(f"s3://{BUCKET}/a.csv")))


def test_an_endpoint_that_is_none(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(ConfigurationError, match=r"Invalid endpoint: nonsense\. Check AWS_ENDPOINT_URL"):
        list(s3_pieces(Location(f"s3://{BUCKET}/a.csv")))
