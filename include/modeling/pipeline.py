"""The project's model: an unfitted Pipeline, fitted and asked with care."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from include.errors import ConfigurationError, listed
from include.modeling.project_function import ProjectFunction
from include.spec.project import ProjectSpec
from include.spec.training import Scalar

if TYPE_CHECKING:
    from pandas import DataFrame

Parameters = Mapping[str, Scalar]
SEED = "seed"


class ModelFunction:
    """
    The function that the spec names under ``model.function``.

    It takes one mapping, the parameters of the trial and ``seed``, and returns an unfitted estimator whose input is the
    DataFrame of features: which of them is known only then, as some are dropped on evidence.
    """

    def __init__(self, spec: ProjectSpec) -> None:
        self._function = ProjectFunction(project=spec.name, key="model.function", value=spec.model.function)
        self._seed = spec.model.seed
        self._build = self._function.find()

    def fitted(self, parameters: Parameters, features: "DataFrame", target: NDArray[np.int64]) -> Any:
        """
        Build a model and fit it.

        :param target: 0 or 1 for each row.
        :raises PermanentError: if the function, or what it built, raises; the message holds no value of a row.
        :raises ConfigurationError: if what it returns is no classifier with probabilities.
        """
        model = self._function.call("raised", self._build, {**parameters, SEED: self._seed})
        missing = [name for name in ("fit", "predict_proba") if not callable(getattr(model, name, None))]
        if missing:
            message = f"{self._function.label} returns {type(model).__name__}, which has no {listed(missing)}."
            raise ConfigurationError(f"{message} Return a scikit-learn Pipeline that ends with a classifier.")
        self._function.call("built a model whose fit raised", model.fit, features, target)
        return model

    def probabilities(self, model: Any, features: "DataFrame") -> NDArray[np.float64]:
        """
        What a fitted model says of rows.

        :return: for each row the probabilities of 0 and 1.
        :raises PermanentError: if the model raises, or says something else.
        """
        said = self._function.call("built a model whose predict_proba raised", model.predict_proba, features)
        found = np.asarray(said, dtype=np.float64)
        if found.shape != (len(features), 2) or not np.isfinite(found).all():
            message = f"{self._function.label} built a model whose predict_proba answers {found.shape} with "
            message += "finite numbers" if np.isfinite(found).all() else "numbers that are not finite"
            raise ConfigurationError(f"{message}; two probabilities a row are expected.")
        return found
