"""Engines are stand-ins on PATH that record how they were called: what matters here is their arguments."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.contract.code_digest import code_digest
from include.contract.step_names import StepName
from local_platform.console import Console
from local_platform.images import (
    TARGETS,
    ArtifactRegistry,
    Engine,
    Image,
    ImageError,
    build,
    context_digest,
    labels,
    line,
    main,
    provide,
    snapshot,
)
from local_platform.locations import REPOSITORY
from tests.support.servers.oci_registry import running_registry

DIGEST = f"sha256:{'d' * 64}"
BUILDAH = f"""#!/bin/sh
echo "$@" >> "$0.calls"
case "$1" in
  images) echo '[{{"size": "1.22 GB"}}]' ;;
  push) while [ "$1" != --digestfile ]; do shift; done; printf {DIGEST} > "$2" ;;
esac
"""
REFUSES = """#!/bin/sh
echo "no daemon" >&2
exit 1
"""


def stand_in(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(script)
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("ML_ARTIFACT_REGISTRY", "ML_IMAGE_BASE", "PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name in ("docker", "podman", "buildah"):
        stand_in(tmp_path, name, REFUSES)
    return tmp_path


def test_the_first_engine_that_works_is_taken(tools: Path) -> None:
    stand_in(tools, "buildah", BUILDAH)
    assert Engine.find() == Engine("buildah")


def test_an_engine_whose_daemon_is_away_is_none(tools: Path) -> None:
    with pytest.raises(ImageError, match="None of docker, podman, buildah works here"):
        Engine.find()


def test_an_image_is_pushed_and_named_by_its_digest(tools: Path) -> None:
    program = stand_in(tools, "buildah", BUILDAH)
    registry = ArtifactRegistry("10.0.0.1:5000/team", is_plain=True)
    made = build(Engine("buildah"), registry, ["step"], Console(), base="registry.example.org/python:3.12")
    calls = program.with_name("buildah.calls").read_text().splitlines()
    assert [image.reference for image in made] == [f"10.0.0.1:5000/team/ml-platform/step@{DIGEST}"]
    assert made[0].size_bytes == 1_220_000_000
    assert "--build-arg BASE=registry.example.org/python:3.12" in calls[0]
    assert f"--label org.ml-platform.code.flights.train={code_digest(StepName.TRAIN, 'flights')}" in calls[0]
    assert "--target step" in calls[0]
    assert "--tls-verify=false" in calls[-1]


def test_without_a_registry_nothing_is_pushed(tools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = stand_in(tools, "buildah", BUILDAH)
    assert main(["serving"]) == 0
    assert "push" not in program.with_name("buildah.calls").read_text()
    assert "ML_ARTIFACT_REGISTRY is not set" in capsys.readouterr().out


def test_the_former_name_of_the_registry_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML_REGISTRY", "http://10.0.0.1:5000")
    assert main(["step"]) == 1
    assert "set ML_ARTIFACT_REGISTRY instead" in capsys.readouterr().err


def test_what_was_pushed_is_printed_by_digest(
    tools: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(tools, "buildah", BUILDAH)
    monkeypatch.setenv("ML_ARTIFACT_REGISTRY", "http://10.0.0.1:5000")
    assert main(["step"]) == 0
    assert f"10.0.0.1:5000/ml-platform/step@{DIGEST}" in capsys.readouterr().out


def test_a_failed_build_tells_the_engines_last_words(tools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in(tools, "podman", "#!/bin/sh\n[ $1 = info ] && exit 0\necho 'no space left on device' >&2\nexit 125\n")
    assert main(["step"]) == 1
    assert "'podman build …' failed" in (output := capsys.readouterr().err)
    assert "no space left on device" in output


def test_an_unknown_image_is_refused(tools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stepp"]) == 1
    assert "There is no image 'stepp'; there are airflow, step, serving, mlflow." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "registry"),
    [
        ("registry.example.org/team/", ArtifactRegistry("registry.example.org/team")),
        ("https://registry.example.org", ArtifactRegistry("registry.example.org")),
        ("http://10.0.0.1:5000", ArtifactRegistry("10.0.0.1:5000", is_plain=True)),
    ],
)
def test_a_registry_is_read(text: str, registry: ArtifactRegistry) -> None:
    assert ArtifactRegistry.parse(text) == registry


def test_another_scheme_is_refused() -> None:
    with pytest.raises(ImageError, match="ML_ARTIFACT_REGISTRY is 'docker://host'"):
        ArtifactRegistry.parse("docker://host")


@pytest.fixture
def shelf() -> Iterator[ArtifactRegistry]:
    """A registry that has the step image under every tag, and wants a login for the serving image."""
    with running_registry() as registry:
        registry.tags["team/ml-platform/step"] = DIGEST
        registry.private = frozenset({"team/ml-platform/serving"})
        yield ArtifactRegistry(f"{registry.host}/team", is_plain=True)


def test_an_image_is_looked_up_by_its_tag(shelf: ArtifactRegistry) -> None:
    assert shelf.find("ml-platform/step", "1") == f"{shelf.address}/ml-platform/step@{DIGEST}"
    assert shelf.find("ml-platform/mlflow", "1") is None
    assert shelf.find("ml-platform/serving", "1") is None


def test_a_registry_that_does_not_respond_is_reported() -> None:
    with pytest.raises(ImageError, match=r"The artifact registry 127\.0\.0\.1:9/team does not respond"):
        ArtifactRegistry("127.0.0.1:9/team", is_plain=True).find("ml-platform/step", "1")


def test_only_what_the_registry_lacks_is_built(tools: Path, shelf: ArtifactRegistry) -> None:
    program = stand_in(tools, "buildah", BUILDAH)
    references = provide(shelf, ["step", "mlflow"], Console(), base="registry.example.org/python:3.12")
    assert references == {name: f"{shelf.address}/ml-platform/{name}@{DIGEST}" for name in ("step", "mlflow")}
    built = [line for line in program.with_name("buildah.calls").read_text().splitlines() if line.startswith("build")]
    assert len(built) == 1
    assert "--target mlflow" in built[0]
    assert "BASE=registry.example.org/python:3.12" in built[0]


def test_nothing_is_built_where_all_is_there(tools: Path, shelf: ArtifactRegistry) -> None:
    assert provide(shelf, ["step"], Console()) == {"step": f"{shelf.address}/ml-platform/step@{DIGEST}"}


def test_every_file_of_the_context_counts() -> None:
    with snapshot() as root:
        before = context_digest(root)
        assert before == context_digest(root)
        (root / "include" / "errors.py").write_text("changed")
        assert context_digest(root) != before


def test_the_labels_say_which_code_an_image_holds() -> None:
    with snapshot() as root:
        assert labels(root)["org.ml-platform.code.flights.ingest"] == code_digest(StepName.INGEST, "flights")
        assert len(labels(root)) == len(StepName)
        (root / "include" / "errors.py").write_text("changed")
        assert labels(root)["org.ml-platform.code.flights.ingest"] != code_digest(StepName.INGEST, "flights")


def test_every_target_is_in_the_dockerfile_and_ends_without_rights() -> None:
    text = (REPOSITORY / "Dockerfile").read_text()
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL))
    assert set(TARGETS) <= set(stages)
    for target in TARGETS:
        inherited = stages["step"] if target == "serving" else ""
        user = re.findall(r"^USER (\d+):\d+$", inherited + stages[target], re.MULTILINE)
        assert user, f"{target} runs as root"
        assert int(user[-1]) > 0


def test_everything_that_is_copied_is_let_in() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    let_in = {text[1:] for text in (REPOSITORY / ".dockerignore").read_text().splitlines() if text.startswith("!")}
    assert {
        name for name in copied if not any(name == known or name.startswith(f"{known}/") for known in let_in)
    } == set()


def test_a_line_for_people() -> None:
    image = Image("step", "host/ml-platform/step@sha256:1", 1_220_000_000, 12.0, 3.0)
    assert line(image).split("\n")[0] == "  step       1220 MB   built in 12 s, pushed in 3.0 s"
