import pytest

from include.errors import ConfigurationError
from include.steps.ingest.location import Location
from tests.support.data_steps import source_of


def test_the_partition_stands_in_location_and_member() -> None:
    source = source_of({"location": "s3://data/{partition}/orders.zip", "member": "orders-{partition}.csv"})
    location = Location.of(source, "2013-03")
    assert (location.host, location.path, location.member) == ("data", "/2013-03/orders.zip", "orders-2013-03.csv")


def test_a_member_only_of_archives() -> None:
    assert Location.of(source_of(), "2013-03").member is None


def test_is_shown_without_user_password_and_query() -> None:
    location = Location("https://ann:CANARY@example.com/a/b.csv?token=CANARY#CANARY", "x.csv")
    assert str(location) == "https://example.com/a/b.csv (x.csv)"


def test_a_path_is_decoded() -> None:
    assert Location("file:///data/a%20b.csv").path == "/data/a b.csv"


@pytest.mark.parametrize("uri", ["package:///data.csv", "s3:///key"])
def test_a_location_without_a_name(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"names no (package|bucket)"):
        _ = Location(uri).host
