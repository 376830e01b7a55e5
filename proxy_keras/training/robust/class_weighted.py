"""`class_weighted`: training in which all classes count the same."""

from __future__ import annotations

from proxy_keras.robust.class_weighted import class_weights
from proxy_keras.settings.robust import ClassWeighted
from proxy_keras.training.fit_input import FitInput
from proxy_keras.training.robust.method import RobustTraining


class ClassWeightedTraining(RobustTraining[ClassWeighted]):
    """Weights the examples; a proxy has the weight of its original."""

    def attach(self, fit_input: FitInput) -> None:
        """Weight the training examples."""
        fit_input.weights = class_weights(self._data.train.labels)
