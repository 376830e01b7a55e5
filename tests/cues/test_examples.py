"""The images that show a cue: half the nearest, half drawn, each once."""

from __future__ import annotations

from proxy_keras.cues.examples import _deal


def test_images_are_dealt_once() -> None:
    nearest, drawn = list(range(20)), [3, 0, 7, 19, 8, 30, 31, 32, 33]
    hands = [_deal(nearest, drawn, page) for page in range(4)]
    assert hands[0] == [
        *((at, True) for at in range(6)),
        *((at, False) for at in (7, 19, 8, 30, 31, 32)),
    ]
    dealt = [at for hand in hands for at, _ in hand]
    assert sorted(dealt) == sorted(set(nearest) | set(drawn))
