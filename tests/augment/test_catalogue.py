"""The catalogue: augmentations by name and text, checked without TensorFlow."""

from __future__ import annotations

import inspect
import subprocess
import sys

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_keras import augment
from proxy_keras.augment.catalogue import (
    LAYERS,
    SHARED_OPTIONS,
    AugmentationSpec,
    import_class,
)


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    ).stdout.strip()


def test_texts_are_checked_without_tensorflow_or_keras():
    code = (
        "import sys\n"
        "from proxy_keras.augment import REPLACEMENTS, AugmentationSpec, names\n"
        "AugmentationSpec.parse('curriculum:of=' + names()[0])\n"
        "print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    assert run_python(code) == "[]"


@pytest.mark.parametrize("name", LAYERS)
def test_every_name_is_a_registered_layer(name):
    layer_class = import_class(name)
    registered = f"proxy_keras>{layer_class.__name__}"
    assert issubclass(layer_class, augment.BatchLayer)
    assert keras.saving.get_registered_object(registered) is layer_class


@pytest.mark.parametrize("name", LAYERS)
def test_the_catalogue_has_the_options_of_the_layer(name):
    layer_class = import_class(name)
    own = [option for option in inspect.signature(layer_class).parameters if option != "options"]
    assert list(LAYERS[name].options) == own


def test_the_shared_options_are_those_of_the_base_class():
    shared = [o for o in inspect.signature(augment.BatchLayer).parameters if o != "options"]
    assert list(SHARED_OPTIONS) == shared


@pytest.mark.parametrize(
    ("text", "inner", "own"),
    [
        ("mixup:alpha=1.0", None, {"alpha": 1.0}),
        ("keep_augment:inner=cutmix,length=0.3", None, {"inner": "cutmix", "length": 0.3}),
        ("keep_augment:length=0.3", None, {"length": 0.3}),
        ("curriculum:of=cutmix,alpha=2,epochs=4", "cutmix:alpha=2", {"of": "cutmix", "epochs": 4}),
        ("curriculum:of=mixup,probability=0.5", "mixup", {"of": "mixup", "probability": 0.5}),
    ],
)
def test_options_that_a_wrapper_does_not_have_belong_to_the_wrapped(text, inner, own):
    spec = AugmentationSpec.parse(text)
    assert spec.inner == (inner and AugmentationSpec.parse(inner))
    assert spec.own_options == own


def test_a_wrapper_imports_the_class_of_its_configuration():
    layer = augment.get("curriculum", of="cutout", size=0.25)
    config = {**layer.get_config(), "name": "copy"}
    code = (
        "from proxy_keras.augment import Curriculum\n"
        f"print(Curriculum(**{config!r}).of.size)\n"
        "from proxy_keras.augment import register_all\n"
        "import keras\n"
        "register_all()\n"
        "print(keras.saving.get_registered_object('proxy_keras>RICAP').__name__)"
    )
    assert run_python(code).split() == ["0.25", "RICAP"]


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("cutmix", "cutmix", ()),
        (
            " mixup : alpha = 0.4 ,probability=0.5",
            "mixup",
            (("alpha", 0.4), ("probability", 0.5)),
        ),
        ("random_erasing:area=(0.1, 0.2),fill=[1,2,3]", "random_erasing", None),
        ("random_erasing:fill=mean", "random_erasing", (("fill", "mean"),)),
        ("keep_augment:inner=mixup:alpha=1.0,length=0.5", "keep_augment", None),
    ],
)
def test_a_specification_is_parsed_and_written_back(text, name, options):
    spec = AugmentationSpec.parse(text)
    assert spec.name == name
    assert options is None or spec.options == options
    assert AugmentationSpec.parse(str(spec)) == spec
    assert len({spec, AugmentationSpec.parse(str(spec))}) == 1


@given(
    value=st.one_of(
        st.integers(),
        st.booleans(),
        st.none(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.tuples(st.floats(0, 1), st.floats(0, 1)),
        st.text("abcNoe019_.-", min_size=1),
    )
)
def test_every_value_survives_its_text(value):
    spec = AugmentationSpec("mixup", (("alpha", value),))
    assert AugmentationSpec.parse(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cutmux", "no augmentation 'cutmux'. There are: attentive_cutmix, "),
        ("mixup:alpha", "KEY=VALUE. Received: 'alpha'"),
        ("curriculum", "curriculum needs the name of an augmentation: of=NAME."),
        ("curriculum:of=cutmux", "no augmentation 'cutmux'"),
        ("keep_augment:inner=mixup:alpha", "KEY=VALUE. Received: 'alpha'"),
        (
            "mixup:alhpa=1",
            "mixup has no option alhpa. It has: alpha, seed, probability, value_range.",
        ),
        ("cutout:b=1,a=2", "cutout has no option a, b. It has: size, fill, seed"),
        ("random_erasing:x=1", "It has: probability, area, ratio, fill, seed, value_range."),
        ("curriculum:of=mixup,alhpa=1", "mixup has no option alhpa"),
        ("keep_augment:inner=mixup:alhpa=1", "mixup has no option alhpa"),
        ("keep_augment:inner=cutout,size=0.1", "keep_augment has no option size. It has: inner"),
        ("keep_augment:alpha=1", "keep_augment has no option alpha. It has: inner"),
    ],
)
def test_a_bad_text_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        AugmentationSpec.parse(text)


def test_options_of_the_wrapped_text_and_of_the_wrapper_are_both_passed_on():
    layer = augment.parse("keep_augment:inner=augmix:width=2,depth=1,length=0.25")
    assert (layer.wrapped.width, layer.wrapped.depth, layer.length) == (2, 1, 0.25)
