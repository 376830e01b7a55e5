"""The manifest that KServe is given."""

import hashlib

import pytest
import yaml

from export.exporter import export_model
from export.kserve import write_inference_service


@pytest.fixture
def make_file(make_model, make_source, tmp_path):
    def make(name):
        source = make_source(make_model(), name=name, split_sha256="ab" * 32)
        return export_model(source, tmp_path / "small.onnx").file

    return make


def test_triton_serves_the_repository_at_the_uri(make_file, tmp_path):
    manifest = tmp_path / "out" / "service.yaml"
    write_inference_service(make_file("small"), manifest, storage_uri="s3://bucket/models")
    service = yaml.safe_load(manifest.read_text())
    assert (service["apiVersion"], service["kind"]) == (
        "serving.kserve.io/v1beta1",
        "InferenceService",
    )
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == "kserve-tritonserver" and model["protocolVersion"] == "v2"
    assert model["storageUri"] == "s3://bucket/models"
    assert service["metadata"]["annotations"] == {
        "proxy-attention/explain": "grad_cam",
        "proxy-attention/precision": "fp32",
        "proxy-attention/split_sha256": "ab" * 32,
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit_base_patch16_224", "vit-base-patch16-224"),
        ("3Nets.v2", "model-3nets-v2"),
        ("x" * 39, "x" * 39),
        ("x" * 40, f"{'x' * 30}-{hashlib.sha256(b'x' * 40).hexdigest()[:8]}"),
        ("...", "model"),
    ],
)
def test_its_name_is_one_that_kubernetes_takes(name, expected, make_file, tmp_path):
    write_inference_service(make_file("a"), tmp_path / "s.yaml", name=name)
    assert yaml.safe_load((tmp_path / "s.yaml").read_text())["metadata"]["name"] == expected


def test_shortened_names_stay_different_and_leave_room(make_file, tmp_path):
    names = []
    for end in "ab":
        file = make_file("a").rename(tmp_path / f"{'long-' * 14}{end}.onnx")
        write_inference_service(file, tmp_path / "s.yaml")
        names.append(yaml.safe_load((tmp_path / "s.yaml").read_text())["metadata"]["name"])
    assert len(set(names)) == 2 and {len(name) for name in names} <= {38, 39}
    assert all(len(f"{name}-predictor-00001-private") <= 63 for name in names)
    assert all(name.startswith("long-long-") and "--" not in name for name in names)


def test_the_name_is_that_of_the_file(make_file, tmp_path):
    file = make_file("resnet20").rename(tmp_path / "Flowers.onnx")
    write_inference_service(file, tmp_path / "s.yaml")
    assert yaml.safe_load((tmp_path / "s.yaml").read_text())["metadata"]["name"] == "flowers"


def test_what_is_no_uri_is_refused(make_file, tmp_path):
    with pytest.raises(ValueError, match="s3://bucket/models"):
        write_inference_service(make_file("small"), tmp_path / "s.yaml", storage_uri="/models")
    assert not (tmp_path / "s.yaml").exists()
