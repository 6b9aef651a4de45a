from kubernetes.client import ApiClient
from kubernetes.client import models as k8s

from include.stores.kubernetes.security import CONTAINER, USER, pod_security


def test_the_contexts_say_what_the_restricted_standard_asks_of_pod_and_container() -> None:
    assert pod_security() == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert CONTAINER["allowPrivilegeEscalation"] is False
    assert CONTAINER["capabilities"] == {"drop": ["ALL"]}


def test_volumes_belong_to_a_group_only_where_one_is_named() -> None:
    assert "fsGroup" not in pod_security()
    assert pod_security(fs_group=USER)["fsGroup"] == 65532


def test_a_model_of_the_client_takes_them_as_they_are() -> None:
    container = k8s.V1Container(name="c", security_context=CONTAINER)
    spec = k8s.V1PodSpec(containers=[container], security_context=pod_security())
    sent = ApiClient().sanitize_for_serialization(spec)
    assert sent == {"containers": [{"name": "c", "securityContext": CONTAINER}], "securityContext": pod_security()}
