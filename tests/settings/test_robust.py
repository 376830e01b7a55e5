"""Methods against spurious correlations: their text form, and what they go with."""

from __future__ import annotations

import pytest

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from proxy_keras.settings.robust import METHODS, ClassBalanced, JustTrainTwice, parse_robust


def test_options_are_parsed_and_the_text_is_kept() -> None:
    assert parse_robust("class_balanced:data=val,l2=1e-3") == ClassBalanced(data="val", l2=1e-3)
    config = TrainConfig(DataConfig("digits"), robust="class_balanced:data=val")
    assert TrainConfig.from_dict(config.to_dict()).robust_method == ClassBalanced(data="val")
    assert TrainConfig(DataConfig("digits")).robust_method is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("balanced", f"`robust` must be one of {', '.join(METHODS)}, with options"),
        ("class_balanced:l2=-1", "class_balanced: `l2` must be >= 0. Received: -1"),
        ("class_balanced:data=test", "`data` must be one of train, val. Received: 'test'"),
        ("class_balanced:l1=1", "Settings of ClassBalanced are data, l2. Received: 'l1'"),
        ("class_balanced:val", "Options of a robust method are KEY=VALUE. Received: 'val'"),
    ],
)
def test_wrong_texts_are_refused_with_the_settings(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        TrainConfig(DataConfig("digits"), robust=text)
    assert message in str(caught.value)


def test_refits_go_with_proxies_and_augmentations_but_not_with_several_devices() -> None:
    data, text = DataConfig("digits"), "class_balanced"
    config = TrainConfig(data, ProxyConfig(), augment=("cutmix",), robust=text)
    assert config.robust_method == ClassBalanced()
    with pytest.raises(ValueError, match="`robust` trains on one device"):
        TrainConfig(data, None, robust=text, strategy="mirrored")


def test_a_refit_of_the_only_trained_layer_takes_no_proxies() -> None:
    data, proxy = DataConfig("digits"), ProxyConfig()
    for text in ("class_balanced", "dfr"):
        with pytest.raises(ValueError, match=f"{text} refits the only layer that is trained"):
            TrainConfig(data, proxy, robust=text, freeze=True)
        TrainConfig(data, None, robust=text, freeze=True)
        TrainConfig(data, proxy, robust=text, freeze="block3")
    TrainConfig(data, proxy, robust="class_weighted", freeze=True)


def test_weights_of_classes_go_with_proxies_but_not_with_augmentations() -> None:
    with pytest.raises(ValueError, match="class_weighted needs images that show one example each"):
        TrainConfig(DataConfig("digits"), None, augment=("cutmix",), robust="class_weighted")


def test_methods_that_change_training_take_no_proxies_and_no_augmentations() -> None:
    data = DataConfig("digits")
    with pytest.raises(ValueError, match="`robust` jtt changes training itself and takes no prox"):
        TrainConfig(data, robust="jtt")
    with pytest.raises(ValueError, match="changes training itself: leave out `augment`"):
        TrainConfig(data, None, augment=("cutmix",), robust="jtt")
    method = TrainConfig(data, None, robust="jtt:epochs=2,weight=50").robust_method
    assert method == JustTrainTwice(epochs=2, weight=50.0)
