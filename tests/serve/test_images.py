"""Images are read as in training, with the same pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import serve.images
from proxy_keras.data.readers import FileReader
from serve import Model, UnreadableImageError

MODES = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "BMP": ("RGB", "L", "P"),
    "GIF": ("RGB", "P", "L"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("RGB", "RGBA", "L", "F", "I;16", "CMYK"),
    "PPM": ("RGB", "L"),
}
KINDS = [(kind, mode) for kind, modes in MODES.items() for mode in modes]


def noise(mode: str, width: int, height: int, seed: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    if mode == "I;16":
        return Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(values[..., 0].astype(np.float32))
    if mode in ("RGBA", "LA"):
        picture = Image.fromarray(values).convert(mode)
        picture.putalpha(Image.fromarray(values[..., 1]))
        return picture
    return Image.fromarray(values).convert(mode)


@pytest.fixture(scope="module")
def as_in_training():
    """Return the pixels of a file as read by the training pipeline."""

    def read(path: Path, size: int) -> np.ndarray:
        return FileReader([path], size, workers=1).read(np.array([0]))[0]

    return read


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    seed=st.integers(0, 99),
    orientation=st.sampled_from([None, 3, 6]),
)
def test_any_image_is_read_as_in_training(
    models, folder, as_in_training, kind, width, height, seed, orientation
):
    suffix, mode = kind
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    options = {"exif": exif} if suffix in ("JPEG", "PNG", "WEBP") else {}
    path = folder / f"image.{suffix.lower()}"
    noise(mode, width, height, seed).save(path, suffix, **options)
    for size, model in models.items():
        expected = as_in_training(path, size)
        assert expected.shape == (size, size, 3)
        assert np.array_equal(model.read(path), expected)
        assert np.array_equal(model.read(path.read_bytes()), expected)


@pytest.fixture(scope="module")
def models(write_model):
    return {size: Model(write_model(size=size), device="cpu") for size in (8, 20)}


def test_real_images_are_read_as_in_training(models, shared_data, as_in_training):
    files = sorted(shared_data.glob("*/**/*.[jJ][pP]*[gG]"))[::97]
    assert len(files) > 20
    for file in files:
        for size, model in models.items():
            assert np.array_equal(model.read(file), as_in_training(file, size)), file


def test_large_photographs_are_decoded_at_a_fraction_as_in_training(models, folder, as_in_training):
    # A JPEG draft differs from the resized full image, so both must use the same rule.
    path = folder / "photograph.jpg"
    ramp = np.linspace(0, 255, 640)
    pixels = np.stack(
        [*np.meshgrid(ramp, ramp), np.random.default_rng(0).normal(128, 60, (640,) * 2)]
    )
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8).transpose(1, 2, 0)).save(path)
    model = models[20]
    at_full_size = serve.images.resize(serve.images.read_image(path), 20)
    assert not np.array_equal(model.read(path), at_full_size)
    assert np.array_equal(model.read(path), as_in_training(path, 20))


def test_a_limit_of_pixels_holds(models):
    file = io.BytesIO()
    Image.new("RGB", (30, 20)).save(file, "PNG")
    assert models[8].read(file.getvalue(), max_pixels=600).shape == (8, 8, 3)
    with pytest.raises(UnreadableImageError, match="30 x 20, more than 599 pixels"):
        models[8].read(file.getvalue(), max_pixels=599)
