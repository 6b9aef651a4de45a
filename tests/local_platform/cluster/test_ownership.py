"""``kubectl`` is a stand-in that keeps namespaces in files, and refuses to create one that is there."""

import json
from pathlib import Path
from typing import Any

import pytest

from local_platform.cluster.errors import ClusterError
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.ownership import INSTALLATION, claim, marked, owned

NAMES = ("a", "b")
SCRIPT = """#!/usr/bin/env python3
import json, pathlib, sys
here, words = pathlib.Path(__file__).parent, sys.argv[1:]
if words[0] == "get":
    path = here / f"{words[2]}.json"
    print(path.read_text() if path.exists() else "")
elif words[0] == "create":
    made = json.load(sys.stdin)
    path = here / f"{made['metadata']['name']}.json"
    with (here / "created").open("a") as created:
        created.write(path.stem)
    if (here / "contender.json").exists():
        (here / "contender.json").rename(path)
    if path.exists():
        sys.exit("AlreadyExists")
    path.write_text(json.dumps(made))
else:
    for made in json.load(sys.stdin)["items"]:
        (here / f"{made['metadata']['name']}.json").write_text(json.dumps(made))
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    (tmp_path / "kubectl").write_text(SCRIPT)
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Kubectl("k")


def namespaces(installation: str) -> list[dict[str, Any]]:
    return marked([{"kind": "Namespace", "metadata": {"name": name}} for name in NAMES], installation)


def put(folder: Path, name: str, **metadata: object) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"metadata": metadata}))


def mark(installation: str) -> dict[str, str]:
    return {INSTALLATION: installation}


def test_what_is_ours_is_listed(kubectl: Kubectl, tmp_path: Path) -> None:
    assert owned(kubectl, NAMES, "ours") == []
    put(tmp_path, "b", annotations=mark("ours"))
    assert owned(kubectl, NAMES, "ours") == ["b"]


def test_anothers_are_left_alone(kubectl: Kubectl, tmp_path: Path) -> None:
    put(tmp_path, "b", annotations=mark("theirs"))
    with pytest.raises(
        ClusterError, match=r"b belongs to another installation of the platform \(theirs\).*cluster-down"
    ):
        owned(kubectl, NAMES, "ours")


def test_what_somebody_made_by_hand_is_left_alone(kubectl: Kubectl, tmp_path: Path) -> None:
    put(tmp_path, "a")
    with pytest.raises(ClusterError, match="Namespace a exists already, and 'make cluster-up' did not create it"):
        owned(kubectl, NAMES, "ours")


def test_namespaces_are_made_and_made_again(kubectl: Kubectl, tmp_path: Path) -> None:
    claim(kubectl, namespaces("ours"), "ours")
    claim(kubectl, namespaces("ours"), "ours")
    assert owned(kubectl, NAMES, "ours") == ["a", "b"]
    assert (tmp_path / "created").read_text() == "a"


def test_of_two_at_the_same_time_one_is_refused(kubectl: Kubectl, tmp_path: Path) -> None:
    put(tmp_path, "contender", annotations=mark("theirs"))
    with pytest.raises(ClusterError, match=r"a belongs to another installation of the platform \(theirs\)"):
        claim(kubectl, namespaces("ours"), "ours")
    assert not (tmp_path / "b.json").exists()


def test_what_is_going_away_is_waited_for_by_the_person(kubectl: Kubectl, tmp_path: Path) -> None:
    put(tmp_path, "a", annotations=mark("ours"), deletionTimestamp="2026-01-01T00:00:00Z")
    with pytest.raises(ClusterError, match="Namespace a is being deleted"):
        claim(kubectl, namespaces("ours"), "ours")
