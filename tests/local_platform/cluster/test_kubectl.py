"""``kubectl`` is a stand-in on PATH that records how it was called: what matters here are its arguments."""

import json
from pathlib import Path

import pytest

from local_platform.cluster.errors import ClusterError
from local_platform.cluster.kubectl import Kubectl

SCRIPT = """#!/bin/sh
echo "$KUBECONFIG $@" >> "$0.calls"
case "$1" in
  get) printf '%s' '{response}' ;;
  apply) cat > "$0.given" ;;
  version) echo '{{"serverVersion": {{"gitVersion": "v1.36.3"}}}}' ;;
  delete) echo 'pods "x" is forbidden' >&2; exit 1 ;;
  wait) sleep 30 ;;
esac
"""


def stand_in(folder: Path, response: str = "") -> Path:
    program = folder / "kubectl"
    program.write_text(SCRIPT.format(response=response))
    program.chmod(0o755)
    return program


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    stand_in(tmp_path, response='{"kind": "Service"}')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Kubectl.find("/the/kubeconfig")


def test_every_call_names_the_cluster(kubectl: Kubectl, tmp_path: Path) -> None:
    assert kubectl.get("service", "x") == {"kind": "Service"}
    calls = (tmp_path / "kubectl.calls").read_text()
    assert calls == "/the/kubeconfig get service x --ignore-not-found --output json\n"


def test_what_is_not_there_is_empty(kubectl: Kubectl, tmp_path: Path) -> None:
    stand_in(tmp_path)
    assert kubectl.get("service", "x") == {}


def test_objects_travel_by_standard_input(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl.apply({"kind": "Secret", "data": {"key": "canary"}})
    assert json.loads((tmp_path / "kubectl.given").read_text())["items"] == [
        {"kind": "Secret", "data": {"key": "canary"}}
    ]
    assert "canary" not in (tmp_path / "kubectl.calls").read_text()


def test_a_failure_tells_its_last_words(kubectl: Kubectl) -> None:
    with pytest.raises(ClusterError, match=r"'kubectl delete pod x …' failed:\n    pods \"x\" is forbidden"):
        kubectl.call("delete", "pod", "x", "--now")


def test_a_call_that_does_not_end_is_ended(kubectl: Kubectl) -> None:
    with pytest.raises(ClusterError, match="did not end within 0 s"):
        kubectl.call("wait", timeout_seconds=0.2)


def test_the_version_is_the_clusters(kubectl: Kubectl) -> None:
    assert kubectl.server_version() == "v1.36.3"


def test_a_cluster_that_does_not_respond_is_reported_by_its_file(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\necho 'connection refused' >&2\nexit 1\n")
    message = r"The cluster that KUBECONFIG=/the/kubeconfig names does not respond: .*\n    connection refused"
    with pytest.raises(ClusterError, match=message):
        kubectl.server_version()


def test_without_kubectl_the_message_tells_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="There is no kubectl on PATH, which the cluster commands need"):
        Kubectl.find("/the/kubeconfig")
