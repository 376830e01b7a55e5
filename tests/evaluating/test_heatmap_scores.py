"""Heatmaps of what the model uses score better than random heat, also on known objects."""

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.attribution import Explainer
from proxy_keras.evaluating.heatmap_scores import score_heatmaps
from proxy_keras.metrics import CompiledClassifier, deletion
from proxy_keras.objects.object_masks import ObjectMasks

SIDE, COUNT = 16, 7


@pytest.fixture
def model():
    """Return a model whose probability of class 1 grows with the brightness."""
    image = keras.Input((SIDE, SIDE, 3))
    light = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(image))
    network = keras.Model(image, layers.Dense(2)(light))
    network.layers[-1].set_weights([np.array([[0, 40 / 3]] * 3), np.array([0.0, -1.0])])
    return network


@pytest.fixture
def masks():
    """Return masks [7, 16, 16] of a bright square at a different position in each image."""
    found = np.zeros([COUNT, SIDE, SIDE], bool)
    for number, mask in enumerate(found):
        mask[number : number + 5, 2 * number : 2 * number + 4] = True
    return found


@pytest.fixture
def split(build_split, masks):
    images = np.repeat(masks[..., None].astype(np.uint8) * 255, 3, axis=-1)
    return build_split(images, np.ones(COUNT, int))


@pytest.fixture
def scores_of(known_methods, model, split, masks):
    """Return a function that scores a method on images; all but the first have a mask."""
    object_masks = ObjectMasks(dict(list(enumerate(masks))[1:]), SIDE)

    def scored(method, positions=range(COUNT), object_masks=object_masks, **options):
        return score_heatmaps(
            Explainer(model, method),
            CompiledClassifier(model),
            split,
            np.array(positions),
            object_masks=object_masks,
            steps=8,
            batch_size=3,
            progress=False,
            **options,
        )

    return scored


def test_planted_heatmaps_score_one(scores_of):
    found = scores_of("bright")
    assert found.objects.positions.tolist() == [1, 2, 3, 4, 5, 6]
    assert found.objects.pointing.all() and not found.blank.any()
    np.testing.assert_array_equal(found.objects.mass, 1.0)
    np.testing.assert_array_equal(found.objects.iou, 1.0)
    # The model only uses brightness.
    assert (found.deletion < found.random_deletion).all()
    assert (found.insertion > found.random_insertion).all()
    told = found.to_dict()
    assert told["method"] == "bright" and told["images"] == COUNT and told["blank"] == 0
    assert told["target_layer"] is None and told["objects"]["images"] == COUNT - 1
    faith = told["faithfulness"]
    assert faith["deletion"]["mean"] == pytest.approx(found.deletion.mean())
    assert faith["deletion"]["random"] == pytest.approx(found.random_deletion.mean())
    assert faith["deletion_under_random"]["interval"][0] > 0
    assert faith["insertion_over_random"]["interval"][0] > 0


def test_inverted_heatmaps_score_at_chance_or_below(scores_of):
    found = scores_of("dark")
    assert found.objects.pointing.mean() <= found.objects.near.mean()
    assert not found.objects.mass.any() and not found.objects.iou.any()
    assert (found.deletion > found.random_deletion).all()
    assert (found.insertion < found.random_insertion).all()


def test_some_images_have_the_scores_that_they_have_among_all(scores_of):
    everything, some = scores_of("bright", seed=5), scores_of("bright", [6, 0, 2], seed=5)
    chosen = [0, 2, 6]
    assert some.positions.tolist() == chosen and some.objects.positions.tolist() == [2, 6]
    for name in ("deletion", "insertion", "random_deletion", "random_insertion"):
        assert getattr(some, name) == pytest.approx(getattr(everything, name)[chosen], abs=1e-6)
    other = scores_of("bright", [0, 2, 6], seed=6)
    assert (other.random_deletion != some.random_deletion).any()


def test_random_heat_is_as_coarse_as_the_heatmaps(scores_of, model, split):
    found = scores_of("coarse", [2, 5], seed=4)
    images = np.concatenate(
        [images for _, images, _ in split.originals(4, np.array([2, 5])).as_numpy_iterator()]
    )
    heat = np.stack([np.random.default_rng([4, at]).random((4, 4), np.float32) for at in (2, 5)])
    expected = deletion(model, images, heat, 1, steps=8, seed=4).scores
    assert found.random_deletion == pytest.approx(expected, abs=1e-6)


def test_blank_heatmaps_are_counted(known_methods, model, build_split):
    images = np.stack([np.full([SIDE, SIDE, 3], 90), np.zeros([SIDE, SIDE, 3])]).astype(np.uint8)
    images[1, 3, 3] = 200
    found = score_heatmaps(
        Explainer(model, "bright"),
        CompiledClassifier(model),
        build_split(images, [0, 1]),
        np.arange(2),
        steps=2,
        progress=False,
    )
    assert found.blank.tolist() == [True, False]
    assert found.objects is None and found.to_dict()["objects"] is None
    assert found.to_dict()["blank"] == 1


def test_without_objects_there_are_no_scores_of_them(scores_of):
    assert scores_of("bright", [0]).objects is None
    assert scores_of("bright", [1, 2], object_masks=None).objects is None


def test_no_images_and_other_classes_are_refused(scores_of, model, split):
    with pytest.raises(ValueError, match="at least one image"):
        scores_of("bright", [])
    with pytest.raises(ValueError, match="explain='true'"):
        score_heatmaps(
            Explainer(model, "bright", explain="true"),
            CompiledClassifier(model),
            split,
            np.arange(2),
        )
