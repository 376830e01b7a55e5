"""Space files: validation, and the training settings of sampled values."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from tuner.searching.space import DEFAULT_FILE, Space

BASE = TrainConfig(DataConfig("digits"), epochs=20)


def space(**parameters: Any) -> Space:
    return Space.from_dict({"parameters": parameters})


def choice(*values: Any, **rest: Any) -> dict[str, Any]:
    return {"type": "choice", "values": list(values), **rest}


def test_the_default_space_has_what_it_should_and_fits() -> None:
    default = Space.load(DEFAULT_FILE)
    asked = "clear_every_step threshold weight schedule subset method model lr replacement"
    assert set(default.parameters) == {*asked.split(), "select", "explain"}
    for epochs in (3, 7, 20, 50):
        default.check(dataclasses.replace(BASE, epochs=epochs), [epochs])
    assert default.min_epochs(BASE) == 3
    names = [hp.name for hp in default.hyperparameters().space]
    assert names.index("replacement") < names.index("weight")


def test_a_draw_becomes_a_training() -> None:
    searched = space(
        threshold={"type": "float", "min": 0.1, "max": 0.9, "step": 0.1},
        batch_size={"type": "int", "min": 16, "max": 64, "step": 2, "sampling": "log"},
        lr=choice("1e-3", 1e-2),
        max_area=choice(None, 0.5),
        augment=choice([], ["cutmix"]),
        clear_every_step=choice(False, True),
    )
    searched.check(BASE, [20])
    drawn = searched.hyperparameters().values
    assert drawn["max_area"] == "null" and drawn["augment"] == "[]"
    drawn |= {"threshold": 0.1 + 2 * 0.1, "batch_size": 32, "max_area": "0.5", "lr": 0.01}
    config = searched.config(BASE, {**drawn, "augment": '["cutmix"]'}, 20)
    assert config == dataclasses.replace(
        BASE,
        batch_size=32,
        lr=0.01,
        augment=("cutmix",),
        proxy=ProxyConfig(threshold=0.3, max_area=0.5, clear_every_step=False),
    )


def test_what_does_not_matter_keeps_its_default() -> None:
    searched = space(
        weight=choice(0.5, 0.7, when={"replacement": "blended"}),
        replacement=choice("blended", "black"),
    )
    drawn = {"replacement": "black", "weight": 0.7}
    assert searched.active(drawn) == {"replacement": "black"}
    assert searched.config(BASE, drawn, 20).proxy == ProxyConfig(replacement="black")
    assert searched.active({**drawn, "replacement": "blended"})["weight"] == 0.7


def test_conditions_reach_through_other_conditions() -> None:
    searched = space(
        replacement=choice("black", "blended"),
        weight=choice(0.5, 0.7, when={"replacement": "blended"}),
        show=choice(0.5, 1.0, when={"weight": [0.7]}),
    )
    hps = searched.hyperparameters()
    assert hps.values == {"replacement": "black"}
    hps.values = {"replacement": "black", "weight": 0.7}
    assert not hps.is_active("show")


def test_fixed_settings_leave_the_space() -> None:
    searched = space(
        weight=choice(0.5, when={"replacement": ["blended"]}),
        replacement=choice("blended", "black"),
        lr=choice(0.1, 0.2),
    )
    kept = searched.without({"replacement"}, BASE)
    assert list(kept.parameters) == ["weight", "lr"] and not kept.parameters["weight"].when
    black = dataclasses.replace(BASE, proxy=ProxyConfig(replacement="black"))
    assert list(searched.without({"replacement"}, black).parameters) == ["lr"]
    plain = dataclasses.replace(BASE, proxy=None)
    assert list(searched.without((), plain).parameters) == ["lr"]
    with pytest.raises(ValueError, match="nothing is left to search"):
        searched.without({"lr"}, plain)


def test_schedules_follow_the_epochs() -> None:
    searched = Space.from_dict(
        {"epochs": 10, "parameters": {"schedule": choice("5,p,4", "every:4")}}
    )
    config = searched.config(BASE, {"schedule": "every:4"}, 20)
    assert config.proxy is not None and config.proxy.schedule == "every:8"
    config = searched.config(BASE, {"schedule": "5,p,4"}, 5)
    assert (config.epochs, config.proxy and config.proxy.schedule) == (5, "2,p,2")
    with pytest.raises(ValueError, match="'5,p,4' makes no proxies in 1 epochs .rescaled to '1'."):
        searched.check(BASE, [1])
    # One that is not searched is meant for the epochs of the command line.
    given = dataclasses.replace(BASE, proxy=ProxyConfig(schedule="every:4"))
    config = space(lr=choice(0.1)).config(given, {"lr": 0.1}, 10)
    assert config.proxy is not None and config.proxy.schedule == "every:2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "A space has `parameters:`"),
        ({"parameters": {}}, "must name at least one setting"),
        ({"parameters": {"lr": choice(0.1)}, "epochs": "many"}, "is a whole number"),
        ({"parameters": {"seed": choice(1)}}, "`seed` cannot be searched"),
        ({"parameters": {"epochs": choice(1)}}, "hyperband varies epochs itself"),
        ({"parameters": {"lrr": choice(1)}}, "Received: 'lrr'"),
        ({"parameters": {"lr": 3}}, "must have `type:` choice, int or float"),
        ({"parameters": {"lr": {"type": "number"}}}, "needs `type:`, one of"),
        ({"parameters": {"lr": {"type": "float", "low": 1}}}, r"Received: \['low'\]"),
        ({"parameters": {"lr": {"type": "float", "min": 1}}}, "needs `max:`, a number"),
        ({"parameters": {"lr": {"type": "float", "min": 2, "max": 1}}}, "needs min < max"),
        (
            {"parameters": {"lr": {"type": "float", "min": 0, "max": 1, "sampling": "log"}}},
            "needs min > 0",
        ),
        ({"parameters": {"lr": {"type": "float", "min": 0, "max": 1, "step": 0}}}, "a step > 0"),
        ({"parameters": {"batch_size": {"type": "int", "min": 0.5, "max": 1}}}, "whole `min`"),
        ({"parameters": {"lr": choice()}}, "a list of at least one value"),
        ({"parameters": {"lr": choice(0.1, 0.1)}}, "differ from each other"),
        (
            {"parameters": {"lr": choice(0.1), "show": choice(1.0, when={"lr": 0.3})}},
            "must name values that `lr` offers",
        ),
        (
            {
                "parameters": {
                    "lr": choice(0.1, when={"show": 1.0}),
                    "show": choice(1.0, when={"lr": 0.1}),
                }
            },
            "is circular",
        ),
    ],
)
def test_a_broken_space_is_refused(content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Space.from_dict(content)


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("method", choice("grad_camera"), "must be one of cam, grad_cam.*Received: 'grad_camera'"),
        ("model", choice("resnet"), "`model` must be one of "),
        ("threshold", choice("high"), r"must be a number in \[0, 1\]"),
        ("freeze", choice(1, 0), "must be true, false or a text"),
        ("batch_size", {"type": "float", "min": 8, "max": 64}, "must be a whole number >= 1"),
        ("subset", {"type": "float", "min": 0, "max": 1}, r"must be in \(0, 1\]"),
    ],
)
def test_unusable_values_are_refused_before_any_trial(name: str, entry: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space(**{name: entry}).check(BASE, [20])


def test_the_space_on_the_page_can_be_used() -> None:
    page = (Path(__file__).parents[3] / "docs" / "search.md").read_text(encoding="utf-8")
    content = page.partition("```yaml\n")[2].partition("```")[0]
    searched = Space.from_dict(yaml.safe_load(content))
    searched.check(BASE, [7, 20])
    assert list(searched.hyperparameters().values) == list(searched.parameters)


def test_files_that_are_no_yaml_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("parameters: [")
    with pytest.raises(ValueError, match="space.yaml is not valid YAML"):
        Space.load(file)
