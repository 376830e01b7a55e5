"""LIME against the image explainer of the `lime` package; submodular pick on known rows."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops
from lime.lime_image import LimeImageExplainer

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.sp_lime import submodular_pick
from proxy_keras.attribution.superpixels import superpixels


def theirs(model, image, label, count, samples, seed):
    """Weights of the superpixels by the `lime` package, one image at a time."""
    labels = superpixels(image[np.newaxis], count, "slic")[0]

    def predict(copies):
        return np.asarray(ops.softmax(model(np.asarray(copies, np.float32), training=False)))

    explainer = LimeImageExplainer(kernel_width=0.25, random_state=np.random.RandomState(seed))
    explanation = explainer.explain_instance(
        image,
        predict,
        labels=(label,),
        hide_color=0,
        top_labels=None,
        num_samples=samples,
        batch_size=50,
        segmentation_fn=lambda _: labels,
        # Otherwise it draws a seed for the segmentation before the coalitions.
        random_seed=0,
    )
    weights = dict(explanation.local_exp[label])
    return np.vectorize(lambda part: weights[part])(labels)


def test_it_is_the_package_on_each_image(build_cnn, images):
    model = build_cnn()
    ids = np.arange(3)
    explainer = Explainer(
        model, "lime", explain="true", superpixels=12, samples=80, seed=4, baseline="black"
    )
    got = explainer.attributions(images[:3], ids)[..., 0]
    for image, label, weights in zip(images[:3], ids, got, strict=True):
        expected = theirs(model, image, label, 12, 80, 4)
        assert np.abs(expected).max() > 1e-4
        np.testing.assert_allclose(weights, expected, atol=1e-3 * np.abs(expected).max())


def test_superpixels_of_a_linear_model_get_their_effects():
    weights = np.arange(24.0).reshape(4, 6) - 9
    image = keras.Input((4, 6, 1))
    top = layers.Dense(2, use_bias=False)
    model = keras.Model(image, top(layers.Flatten()(image)))
    top.kernel.assign(np.stack([weights.ravel(), np.zeros(24)], axis=1))
    explainer = Explainer(
        model,
        "lime",
        explain=lambda logits: logits[:, 0],
        superpixels=6,
        segmentation="grid",
        samples=3000,
        baseline="black",
    )
    images = np.full((1, 4, 6, 1), 2.0, np.float32)
    got = explainer.attributions(images)[0, ::2, ::2, 0]
    effects = 2 * weights.reshape(2, 2, 3, 2).sum(axis=(1, 3))
    # Ridge regression shrinks weights slightly.
    np.testing.assert_allclose(got, effects, rtol=0.02, atol=0.3)
    heat = explainer.heatmaps(images)[0, ::2, ::2]
    positive = np.maximum(got, 0)
    np.testing.assert_allclose(heat, positive / positive.max(), atol=1e-5)


@pytest.mark.parametrize("segmentation", ["slic", "grid"])
def test_a_superpixel_has_one_weight_and_images_do_not_depend_on_their_batch(
    build_cnn, images, segmentation
):
    options = {"superpixels": 9, "samples": 50, "segmentation": segmentation}
    explainer = Explainer(build_cnn(), "lime", chunk_size=33, **options)
    weights = explainer.attributions(images)[..., 0]
    for painted, labels in zip(weights, superpixels(images, 9, segmentation), strict=True):
        for part in range(labels.max() + 1):
            assert np.ptp(painted[labels == part]) == 0
    single = [explainer.attributions(images[i : i + 1])[0, ..., 0] for i in range(7)]
    np.testing.assert_allclose(single, weights, atol=1e-5)
    other = Explainer(build_cnn(), "lime", seed=1, **options).attributions(images)[..., 0]
    assert np.abs(other - weights).max() > 0


class TestSubmodularPick:
    def test_planted_rows_are_found(self):
        # Rows 1 and 3 cover all five columns; row 0 adds nothing to row 1.
        weights = np.array(
            [
                [0.9, 0.8, 0.0, 0.0, 0.0],
                [-0.9, 0.8, 0.7, 0.0, 0.0],
                [0.0, 0.0, 0.7, 0.0, 0.0],
                [0.0, 0.0, 0.0, 0.5, -0.5],
                [0.0, 0.0, 0.0, 0.6, 0.0],
            ]
        )
        np.testing.assert_array_equal(submodular_pick(weights, 1), [1])
        np.testing.assert_array_equal(submodular_pick(weights, 2), [1, 3])
        # Everything is covered: the first of the remaining rows is picked.
        np.testing.assert_array_equal(submodular_pick(weights, 3), [1, 3, 0])
        assert sorted(submodular_pick(weights, 99)) == [0, 1, 2, 3, 4]

    def test_importance_is_the_root_of_summed_magnitudes(self):
        # Column 0 has importance sqrt(4) = 2, columns 1 and 2 sqrt(1.1) each: more in total.
        weights = np.array([[1.0, 0, 0]] * 4 + [[0, 1.1, -1.1]])
        np.testing.assert_array_equal(submodular_pick(weights, 1), [4])
        # By plain sums, column 0 would have 4, the others 2.2 in total.

    def test_the_greedy_cover_is_near_the_best(self):
        rng = np.random.default_rng(0)
        weights = rng.normal(size=(9, 12)) * (rng.uniform(size=(9, 12)) < 0.3)
        importance = np.sqrt(np.abs(weights).sum(axis=0))

        def cover(rows):
            return importance[(weights[list(rows)] != 0).any(axis=0)].sum()

        best = max(cover(rows) for rows in itertools.combinations(range(9), 3))
        assert best * (1 - 1 / np.e) <= cover(submodular_pick(weights, 3)) <= best

    def test_arguments_are_checked(self):
        with pytest.raises(ValueError, match="`budget` must be >= 1. Received: 0"):
            submodular_pick(np.ones((2, 2)), 0)
        with pytest.raises(ValueError, match=r"`weights` must be \[n, cells\]"):
            submodular_pick(np.ones(3), 1)


def test_sp_lime_shows_limes_heatmaps_of_the_picked_images_only(build_cnn, images):
    model = build_cnn()
    options = {"superpixels": 16, "samples": 60, "seed": 2}
    weights = Explainer(model, "lime", segmentation="grid", **options).attributions(images)
    cells = weights[:, 2::4, 2::4, 0].reshape(7, 16)
    heaviest = [np.where(np.abs(row) >= np.sort(np.abs(row))[-3], row, 0.0) for row in cells]
    picked = submodular_pick(np.array(heaviest), 2)
    explainer = Explainer(model, "sp_lime", budget=2, features=3, **options)
    got = explainer.attributions(images)
    blank = np.setdiff1d(np.arange(7), picked)
    assert len(blank) == 5
    np.testing.assert_allclose(got[picked], weights[picked], atol=1e-6)
    assert not got[blank].any()
    heat = explainer.heatmaps(images)
    assert (heat[picked].max(axis=(1, 2)) == 1).all()
    assert not heat[blank].any()


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("lime", {"superpixels": 0}, "`superpixels` must be >= 1"),
        ("lime", {"samples": 1}, "`samples` must be >= 2"),
        ("lime", {"segmentation": "voronoi"}, "`segmentation` must be one of"),
        ("lime", {"kernel_width": 0.0}, "`kernel_width` must be > 0"),
        ("sp_lime", {"budget": 0}, "`budget` must be >= 1"),
        ("sp_lime", {"features": 0}, "`features` must be >= 1"),
        ("sp_lime", {"segmentation": "slic"}, "no option segmentation"),
    ],
)
def test_options_outside_their_range_are_refused(build_cnn, method, options, message):
    with pytest.raises(ValueError, match=message):
        Explainer(build_cnn(), method, **options)
