import json
from typing import Any

import pytest
from kubernetes.client import ApiException

from include.stores.kubernetes.refusals import ALREADY_EXISTS, Refusal, is_quota, refusal_of


def error(body: Any, status: int | None = 403) -> ApiException:
    result = ApiException(status=status, reason="Forbidden")
    result.body = body if body is None or isinstance(body, str) else json.dumps(body)
    return result


def test_a_status_states_a_reason_and_a_message() -> None:
    body = {"kind": "Status", "reason": ALREADY_EXISTS, "message": 'pods "a" already exists'}
    assert refusal_of(error(body, 409)) == Refusal(
        status=409, is_from_api_server=True, reason="AlreadyExists", message='pods "a" already exists'
    )


@pytest.mark.parametrize("body", [None, "", "<html>proxy</html>", [], '"text"', {"kind": None, "message": None}])
def test_a_response_that_is_no_status_gives_no_words(body: Any) -> None:
    assert refusal_of(error(body, None)) == Refusal(status=0, is_from_api_server=False)


def test_a_response_of_a_service_behind_the_proxy_is_not_the_api_servers() -> None:
    assert not refusal_of(error({"message": "unknown column"}, 400)).is_from_api_server


def test_a_used_up_quota_is_distinguished_from_a_missing_right() -> None:
    quota = 'pods "a" is forbidden: exceeded quota: ml-quota, requested: pods=1, used: pods=40, limited: pods=40'
    assert is_quota(quota)
    assert refusal_of(error({"kind": "Status", "message": quota})).is_quota
    assert not refusal_of(error({"kind": "Status", "message": "pods is forbidden: User cannot create"})).is_quota


def test_a_long_sentence_is_cut() -> None:
    assert len(refusal_of(error({"message": "x" * 1000})).message) == 256
