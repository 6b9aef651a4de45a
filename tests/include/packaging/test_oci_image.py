import io
import json
import tarfile

import pytest

from include.packaging.files import BUNDLE_FILES, MANIFEST, Bundle, read_bundle
from include.packaging.oci_image import CONFIG_TYPE, LAYER_TYPE, image_of
from tests.support.serving_bundles import bundle


def test_layer_holds_the_files_at_its_root_for_anybody_to_read() -> None:
    with tarfile.open(fileobj=io.BytesIO(image_of(bundle()).layer.content)) as archive:
        members = archive.getmembers()
        contents = {}
        for member in members:
            file = archive.extractfile(member)
            assert file is not None
            contents[member.name] = file.read()
    assert [member.name for member in members] == sorted([*BUNDLE_FILES, MANIFEST])
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
    assert read_bundle(contents.__getitem__, bundle().digest).digest == bundle().digest


def test_same_bundle_gives_the_same_bytes_whatever_the_order_of_its_files() -> None:
    one = bundle()
    other = Bundle(one.digest, one.manifest, dict(reversed(list(one.contents.items()))))
    assert image_of(one) == image_of(other)
    assert image_of(bundle(1)).manifest.digest != image_of(one).manifest.digest


def test_manifest_names_its_blobs_and_the_bundle() -> None:
    image = image_of(bundle())
    manifest, config = json.loads(image.manifest.content), json.loads(image.config.content)
    assert manifest["config"] == {
        "mediaType": CONFIG_TYPE,
        "digest": image.config.digest,
        "size": len(image.config.content),
    }
    assert [(layer["mediaType"], layer["digest"]) for layer in manifest["layers"]] == [(LAYER_TYPE, image.layer.digest)]
    assert config["rootfs"]["diff_ids"] == [image.layer.digest]
    assert manifest["annotations"]["org.ml-platform.bundle"] == bundle().digest


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("arm64", "arm64")])
def test_nodes_of_this_kind_of_processor_take_it(machine: str, architecture: str) -> None:
    assert json.loads(image_of(bundle(), machine).config.content)["architecture"] == architecture
