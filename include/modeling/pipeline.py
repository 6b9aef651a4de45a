"""The project's model: built by its function, fitted, and its predictions checked."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from include.contract.document import Scalar
from include.errors import ConfigurationError, listed
from include.modeling.project_function import ProjectFunction
from include.spec.project import ProjectSpec

if TYPE_CHECKING:
    from pandas import DataFrame

Parameters = Mapping[str, Scalar]
SEED = "seed"


class ModelFunction:
    """
    The function that the spec names under ``model.function``.

    It takes one mapping, the parameters of a trial and ``seed``, and returns an unfitted estimator. Which features the
    estimator's DataFrame has is known only when it is fitted, as some are dropped on the evidence of the partitions.
    """

    def __init__(self, spec: ProjectSpec) -> None:
        self._function = ProjectFunction(project=spec.name, key="model.function", value=spec.model.function)
        self._seed = spec.model.seed
        self._build = self._function.find()

    def fitted(self, parameters: Parameters, features: "DataFrame", target: NDArray[np.int64]) -> Any:
        """
        Build a model and fit it.

        :param parameters: of one trial.
        :param features: one row per row of the train partitions; the features that were kept, in the order of the spec.
        :param target: shape (rows,), 0 or 1.
        :return: the fitted estimator, with ``predict_proba``.
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
        The probabilities that a fitted model predicts.

        :param model: what :meth:`fitted` returned.
        :param features: one row per row, the same columns as in the fit.
        :return: float64 of shape (rows, 2): of 0 and of 1.
        :raises PermanentError: if the model raises.
        :raises ConfigurationError: if the shape is another one, or a number is not finite.
        """
        predicted = self._function.call("built a model whose predict_proba raised", model.predict_proba, features)
        probabilities = np.asarray(predicted, dtype=np.float64)
        # NaN and infinity pass through the metrics without an error, and would decide the search.
        if probabilities.shape != (len(features), 2) or not np.isfinite(probabilities).all():
            message = (
                f"{self._function.label} built a model whose predict_proba returns shape {probabilities.shape} with "
            )
            message += "finite numbers" if np.isfinite(probabilities).all() else "numbers that are not finite"
            raise ConfigurationError(f"{message}; two probabilities a row are expected.")
        return probabilities
