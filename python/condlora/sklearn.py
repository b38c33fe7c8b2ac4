"""An estimator for scikit-learn (1.6 or newer): fit, predict and predict_proba on texts."""
from __future__ import annotations

import io
import os
import tarfile
import tempfile
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.multiclass import check_classification_targets

from condlora import data as data_of
from condlora._library import StrPath
from condlora.classifier import Classifier
from condlora.training import train


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Fine-tunes a base model and classifies texts with it.

    X is a list, array or Series of texts, or rows of two texts for pairs. The parameters are settings of `condlora.train`;
    `settings` has further ones by name. A fitted estimator can be pickled: the adapter goes with it, the base model does not.
    """

    def __init__(
        self,
        model: StrPath = "roberta-base",
        *,
        method: str = "condlora",
        rank: Optional[int] = None,
        alpha: Optional[float] = None,
        epochs: int = 3,
        batch_size: int = 16,
        lr: float = 1e-3,
        max_length: int = 0,
        dev_fraction: float = 0.1,
        class_weights: Optional[str] = None,
        random_state: Optional[int] = None,
        backend: str = "auto",
        threads: int = 0,
        settings: Optional[Mapping[str, Any]] = None,
    ):
        self.model = model
        self.method = method
        self.rank = rank
        self.alpha = alpha
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.max_length = max_length
        self.dev_fraction = dev_fraction
        self.class_weights = class_weights
        self.random_state = random_state
        self.backend = backend
        self.threads = threads
        self.settings = settings

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.non_deterministic = False
        return tags

    def _columns(self, X: Any) -> Tuple[List[str], Optional[List[str]]]:
        """The texts, and the second texts of pairs."""
        if hasattr(X, "columns"):  # a DataFrame of one or two columns
            X = X.to_numpy()
        if isinstance(X, (str, bytes)):
            raise ValueError("expected a list of texts, not one text")
        rows = list(X)
        if not rows or isinstance(rows[0], str):
            return data_of.texts(rows, "X"), None
        widths = {len(row) if isinstance(row, (list, tuple, np.ndarray)) else 0 for row in rows}
        if widths == {1}:
            return data_of.texts([row[0] for row in rows], "X"), None
        if widths == {2}:
            return data_of.texts([row[0] for row in rows], "X"), data_of.texts([row[1] for row in rows], "X")
        raise ValueError("X: expected texts, or rows of one or two texts")

    def fit(self, X: Any, y: Any) -> "TextClassifier":
        """Trains on texts and their labels of any type."""
        texts, pairs = self._columns(X)
        targets = np.asarray(y)
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = targets[:, 0]
        check_classification_targets(targets)
        if len(targets) != len(texts):
            raise ValueError(f"{len(texts)} texts and {len(targets)} labels: there must be as many of both")
        self.classes_, classes = np.unique(targets, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"the labels have one class, {self.classes_[0]!r}, and at least two are needed")
        columns: Dict[str, List[Any]] = {"text": texts, "label": [str(c) for c in classes]}
        if pairs is not None:
            columns["pair"] = pairs
        given = {
            "method": self.method,
            "rank": self.rank,
            "alpha": self.alpha,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "lr": self.lr,
            "max_length": self.max_length,
            "dev_fraction": self.dev_fraction,
            "class_weights": self.class_weights,
            "seed": self.random_state,
            "backend": self.backend,
            "threads": self.threads,
            "labels": [str(i) for i in range(len(self.classes_))],
            **(self.settings or {}),
        }
        with train(
            model=self.model, train=columns, text=["text", "pair"] if pairs is not None else "text", label="label", **given
        ) as run:
            self._keep(str(run.adapter))
            self.n_steps_ = run.steps
        return self

    def _keep(self, adapter: str) -> None:
        """Keeps the files of the adapter in memory, so that a pickle has them."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name in sorted(os.listdir(adapter)):
                archive.add(os.path.join(adapter, name), name)
        self.adapter_ = packed.getvalue()
        self._opened: Optional[Classifier] = None

    def _classifier(self) -> Classifier:
        if not hasattr(self, "adapter_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit first")
        if self._opened is None:
            with tempfile.TemporaryDirectory(prefix="condlora-") as folder:
                with tarfile.open(fileobj=io.BytesIO(self.adapter_)) as archive:
                    for member in archive:
                        content = archive.extractfile(member)
                        if content is not None:
                            with open(os.path.join(folder, os.path.basename(member.name)), "wb") as file:
                                file.write(content.read())
                whole = os.path.exists(os.path.join(folder, "config.json"))
                self._opened = Classifier(
                    folder,
                    model=None if whole else self.model,
                    backend=self.backend,
                    threads=self.threads,
                    max_length=self.max_length,
                )
        return self._opened

    def __getstate__(self) -> Dict[str, Any]:
        state: Dict[str, Any] = dict(super().__getstate__())
        if "_opened" in state:
            state["_opened"] = None
        return state

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Probabilities [texts, classes], in the order of `classes_`."""
        return self._classifier().predict_proba(*self._columns(X))

    def decision_function(self, X: Any) -> npt.NDArray[np.float32]:
        """Logits [texts, classes]; for two classes [texts], the second one's minus the first one's."""
        logits = self._classifier().logits(*self._columns(X))
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The label of each text."""
        model = self._classifier()
        return np.asarray(self.classes_[model.logits(*self._columns(X)).argmax(axis=1)])
