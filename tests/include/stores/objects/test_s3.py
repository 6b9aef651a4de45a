import multiprocessing
import time

import pytest

from include.errors import ConfigurationError, MissingObjectError, TemporaryError
from include.stores.objects.open import open_objects
from include.stores.objects.s3 import S3Objects
from tests.support.servers.s3_server import BUCKET, CREDENTIALS, Fault, S3Server


@pytest.fixture
def quick(request: pytest.FixtureRequest, s3: S3Server) -> S3Objects:
    """A store that gives up soon."""
    return S3Objects(BUCKET, request.node.name, connect_seconds=1, read_seconds=1, retry_seconds=3)


def test_a_bucket_without_a_prefix_is_a_store(s3: S3Server) -> None:
    objects = open_objects(f"s3://{BUCKET}")
    assert objects.url("alone/a") == f"s3://{BUCKET}/alone/a"
    assert objects.create("alone/a", b"1")
    assert objects.list("alone/") == ["alone/a"]


def test_keys_beyond_one_page_are_listed(quick: S3Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        quick.create(f"many/{number}", b"")
    paginator = quick._client.get_paginator

    def small_pages(name: str) -> object:
        result = paginator(name)
        paginate = result.paginate
        result.paginate = lambda **arguments: paginate(**arguments, PaginationConfig={"PageSize": 2})
        return result

    monkeypatch.setattr(quick._client, "get_paginator", small_pages)
    assert quick.list("many/") == [f"many/{number}" for number in range(7)]


def test_a_moment_of_503_is_waited_out(quick: S3Objects, s3: S3Server) -> None:
    s3.break_with(Fault("slow_down", times=1))
    assert quick.create("a", b"1")


def test_an_s3_that_is_away_for_a_while_is_waited_for_by_default(s3: S3Server) -> None:
    objects = open_objects(f"s3://{BUCKET}/away")
    s3.break_with(Fault("slow_down", times=5))
    assert objects.create("a", b"1")
    assert len(s3.requests()) == 6


@pytest.mark.parametrize("method", ["create", "get", "exists", "list"])
def test_an_s3_that_responds_503_is_temporary(quick: S3Objects, s3: S3Server, method: str) -> None:
    # On a busy machine, importing boto3 and opening the client took longer than 3 s: no second attempt was made.
    quick._client  # noqa: B018 (opened by being read)
    s3.break_with(Fault("slow_down"))
    uses = {
        "create": lambda: quick.create("a", b"1"),
        "get": lambda: quick.get("a"),
        "exists": lambda: quick.exists("a"),
        "list": lambda: quick.list("a"),
    }
    with pytest.raises(TemporaryError, match=rf"s3://{BUCKET}/.*503\)\. Check the endpoint.*tried \d times in \d s"):
        uses[method]()
    assert len(s3.requests()) > 1


def test_an_s3_that_hangs_is_temporary_within_bounds(quick: S3Objects, s3: S3Server) -> None:
    s3.break_with(Fault("hang"))
    began = time.monotonic()
    with pytest.raises(TemporaryError, match=r"S3 did not answer reading s3://platform/.*Read timeout.*run it again"):
        quick.get("a")
    assert time.monotonic() - began < 25  # a few attempts of a second each, on a busy machine; the server hangs for 30


def test_an_s3_that_is_not_there_is_temporary(quick: S3Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(TemporaryError, match=r"S3 did not answer creating .*Could not connect"):
        quick.create("a", b"1")


def test_a_create_whose_response_was_lost_is_known_as_ours(quick: S3Objects, s3: S3Server) -> None:
    s3.break_with(Fault("lost", method="PUT", times=1))
    assert quick.create("a", b"ours")
    assert [request.split()[0] for request in s3.requests()] == ["PUT", "PUT", "GET"]


def test_a_retried_create_that_met_another_writer_is_not_ours(quick: S3Objects, s3: S3Server) -> None:
    quick.create("a", b"theirs")
    s3.break_with(Fault("slow_down", method="PUT", times=1))
    assert not quick.create("a", b"ours")


def test_a_create_that_meets_another_under_way_is_tried_again(quick: S3Objects, s3: S3Server) -> None:
    s3.break_with(Fault("conflict", method="PUT", times=2))
    assert quick.create("a", b"1")
    assert len(s3.requests()) == 3


def test_a_create_that_met_itself_under_way_is_known_as_ours(quick: S3Objects, s3: S3Server) -> None:
    s3.break_with(Fault("own_conflict", method="PUT", times=1))
    assert quick.create("a", b"ours")
    s3.break_with(Fault("own_conflict", method="PUT", times=1))
    assert not quick.create("a", b"theirs")


def test_a_create_that_meets_others_for_ever_is_temporary(quick: S3Objects, s3: S3Server) -> None:
    s3.break_with(Fault("conflict", method="PUT"))
    with pytest.raises(TemporaryError, match="met another writer 5 times"):
        quick.create("a", b"1")


def test_a_refusal_is_a_matter_of_configuration_and_is_not_retried(quick: S3Objects, s3: S3Server) -> None:
    s3.break_with(Fault("denied"))
    with pytest.raises(ConfigurationError, match=r"S3 refused creating s3://platform/.*AccessDenied.*AWS_"):
        quick.create("a", b"1")
    assert len(s3.requests()) == 1


def test_a_bucket_that_does_not_exist_is_a_matter_of_configuration(s3: S3Server) -> None:
    with pytest.raises(ConfigurationError, match="NoSuchBucket"):
        open_objects("s3://nobodys-bucket/x").create("a", b"1")


def test_missing_credentials_are_a_matter_of_configuration(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(ConfigurationError, match=r"Unable to locate credentials.*AWS_"):
        open_objects(f"s3://{BUCKET}/x").create("a", b"1")


def test_no_message_holds_a_secret(quick: S3Objects, s3: S3Server) -> None:
    reported = [repr(quick)]
    for kind in ("slow_down", "denied", "hang"):
        s3.break_with(Fault(kind))
        with pytest.raises((TemporaryError, ConfigurationError), match="a") as caught:
            quick.create("a", b"1")
        reported.append(f"{caught.value} {caught.value!r} {caught.value.__cause__}")
    s3.heal()
    with pytest.raises(MissingObjectError, match="a") as missing:
        quick.get("a")
    reported.append(str(missing.value))
    for secret in (CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]):
        assert not [text for text in reported if secret in text]


def test_of_many_writers_of_one_key_one_creates_it(s3: S3Server) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        made = pool.starmap(_create_all, [(f"s3://{BUCKET}/race", name) for name in ("a", "b", "c")])
    objects = open_objects(f"s3://{BUCKET}/race")
    for number in range(15):
        winners = [name for name, numbers in zip("abc", made, strict=True) if number in numbers]
        assert len(winners) == 1
        assert objects.get(f"ledger/{number}") == winners[0].encode()


def _create_all(uri: str, name: str) -> set[int]:
    objects = open_objects(uri)
    return {number for number in range(15) if objects.create(f"ledger/{number}", name.encode())}
