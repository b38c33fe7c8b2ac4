"""Models that classify texts."""
from __future__ import annotations

import json
import threading
from types import TracebackType
from typing import Any, Dict, Iterable, List, Optional, Tuple, Type, Union

import numpy as np
import numpy.typing as npt

from condlora import data as data_of
from condlora import settings as settings_of
from condlora._c import ffi, lib
from condlora._hub import checked
from condlora._library import Owner, StrPath, encoded, enter, text
from condlora.backend import precision_of
from condlora.errors import ArgumentError, check
from condlora.progress import ProgressLine

#: The formats of `export`: "peft" is plain LoRA in PEFT's folder, "onnx" a graph with the adapter merged, "merged" a whole model
#: for Transformers, "adapter" the adapter as this package opens it.
FORMATS = ("peft", "onnx", "merged", "adapter")


def _is_integer(name: str) -> bool:
    return name.isascii() and name.lstrip("-").isdigit() and str(int(name)) == name


class Classifier:
    """A model with its tokenizer and its adapters, on a backend.

    `path` is the folder of a run, of an adapter (of this project or of PEFT) or of a model, or a name on the Hugging Face hub.
    `model` is the base model of an adapter, if it is not where the adapter says. `max_length` cuts longer texts, in tokens;
    0 means 512, or the model's limit if it is lower. `rank` is for DyLoRA: any rank up to the adapter's own. `progress` shows a
    download on standard error.

    Several threads may use one classifier; their calls run one after another. Different classifiers run at the same time.
    """

    def __init__(
        self,
        path: StrPath,
        *,
        model: Optional[StrPath] = None,
        backend: str = "auto",
        precision: str = "fp32",
        threads: int = 0,
        no_fallback: bool = False,
        max_length: int = 0,
        rank: int = 0,
        progress: bool = False,
    ):
        base = ffi.new("char[]", encoded(model)) if model is not None else ffi.NULL
        name = ffi.new("char[]", encoded(backend))
        options = ffi.new("cdl_model_options *", lib.cdl_model_options_init())
        options.base, options.backend, options.precision = base, name, precision_of(precision)
        options.threads, options.no_fallback = threads, no_fallback
        options.max_length, options.rank = max_length, rank
        opened = ffi.new("cdl_model **")
        enter()
        folder = encoded(path)
        checked(lambda: int(lib.cdl_model_open(folder, options, opened)), ProgressLine() if progress else None)
        self._lock = threading.RLock()
        self._model = Owner("classifier", opened[0], lib.cdl_model_close)

    def __repr__(self) -> str:
        with self._lock:
            if self._model.is_closed:
                return "<condlora.Classifier, closed>"
            model = self._model.pointer
            count, name = int(lib.cdl_model_label_count(model)), text(lib.cdl_backend_name(lib.cdl_model_backend(model)))
        return f"<condlora.Classifier of {count} {'number' if self.is_regression else 'label'}{'s' * (count != 1)} on {name}>"

    # ---- Properties ----

    @property
    def labels(self) -> Tuple[Union[str, int], ...]:
        """The labels in the order of `logits`, or the names of a regression's several numbers; empty for one number. If all
        names are integers, the labels are ints."""
        with self._lock:
            model = self._model.pointer
            names = [lib.cdl_model_label_name(model, i) for i in range(lib.cdl_model_label_count(model))]
            known = [text(name) for name in names if name != ffi.NULL]
        return tuple(map(int, known)) if all(map(_is_integer, known)) else tuple(known)

    @property
    def problem(self) -> str:
        """What the outputs mean: "single_label_classification", "multi_label_classification" or "regression"."""
        with self._lock:
            return text(lib.cdl_problem_name(lib.cdl_model_problem(self._model.pointer)))

    @property
    def thresholds(self) -> npt.NDArray[np.float64]:
        """With several labels for a text: the probability from which on each label is predicted. Otherwise NaN."""
        with self._lock:
            model = self._model.pointer
            count = lib.cdl_model_label_count(model)
            return np.array([lib.cdl_model_threshold(model, i) for i in range(count)], np.float64)

    @property
    def is_regression(self) -> bool:
        """Whether the outputs are numbers, not labels."""
        with self._lock:
            return bool(lib.cdl_model_is_regression(self._model.pointer))

    @property
    def is_pair(self) -> bool:
        """Whether the model is known to have been trained on pairs of texts."""
        with self._lock:
            return bool(lib.cdl_model_is_pair(self._model.pointer))

    @property
    def max_length(self) -> int:
        """The longest input in tokens; longer texts are cut."""
        with self._lock:
            return int(lib.cdl_model_max_length(self._model.pointer))

    @property
    def device(self) -> str:
        """One line with the backend's device, library and threads."""
        with self._lock:
            return text(lib.cdl_backend_description(lib.cdl_model_backend(self._model.pointer)))

    # ---- Answers ----

    def logits(self, texts: Iterable[str], pairs: Optional[Iterable[str]] = None) -> npt.NDArray[np.float32]:
        """Computes logits [texts, labels]. With `pairs`, texts[i] and pairs[i] form one input."""
        first = data_of.texts(texts)
        second = None if pairs is None else data_of.texts(pairs, "pairs")
        if second is not None and len(second) != len(first):
            raise ArgumentError(f"{len(first)} texts and {len(second)} pairs: there must be as many of both")
        keep, arguments = [], []
        for values in (first, second):
            strings = [] if values is None else [ffi.new("char[]", value.encode()) for value in values]
            keep.append(strings)
            arguments.append(ffi.NULL if values is None else ffi.new("char *[]", strings))
        with self._lock:
            model = self._model.pointer
            result = np.empty((len(first), lib.cdl_model_label_count(model)), np.float32)
            check(lib.cdl_model_classify(model, *arguments, len(first), ffi.cast("float *", result.ctypes.data)))
        return result

    def predict_proba(self, texts: Iterable[str], pairs: Optional[Iterable[str]] = None) -> npt.NDArray[np.float64]:
        """Computes probabilities [texts, labels]."""
        with self._lock:
            logits = self.logits(texts, pairs)
            model, result = self._model.pointer, np.empty(logits.shape, np.float64)
            for row, out in zip(logits, result):
                lib.cdl_model_probabilities(
                    model, ffi.cast("float *", row.ctypes.data), ffi.cast("double *", out.ctypes.data)
                )
        return result

    def predict(self, texts: Iterable[str], pairs: Optional[Iterable[str]] = None) -> npt.NDArray[Any]:
        """Returns the label of each text; for a regression its number or numbers; with several labels a tuple of labels."""
        with self._lock:
            logits = self.logits(texts, pairs)
            if self.is_regression:
                return logits[:, 0] if logits.shape[1] == 1 else logits
            labels = np.array(self.labels)
            chosen = self._decide(logits)
            if self.problem == "multi_label_classification":
                answers = np.empty(len(chosen), object)
                answers[:] = [tuple(labels[row].tolist()) for row in chosen]
                return answers
        return np.asarray(labels[chosen.argmax(axis=1)])

    def predict_indicators(self, texts: Iterable[str], pairs: Optional[Iterable[str]] = None) -> npt.NDArray[np.bool_]:
        """Returns which labels are predicted [texts, labels], in scikit-learn's form."""
        with self._lock:
            return self._decide(self.logits(texts, pairs))

    def _decide(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        model, result = self._model.pointer, np.empty(logits.shape, np.bool_)
        for row, out in zip(logits, result):
            lib.cdl_model_decide(model, ffi.cast("float *", row.ctypes.data), ffi.cast("bool *", out.ctypes.data))
        return result

    # ---- Adapters ----

    @property
    def adapters(self) -> List[str]:
        """The names of the loaded adapters, in the order of loading."""
        with self._lock:
            model = self._model.pointer
            return [text(lib.cdl_model_get_adapter(model, i)) for i in range(lib.cdl_model_adapter_count(model))]

    @property
    def adapter(self) -> Optional[str]:
        """The name of the active adapter, which may be set; None is the model alone."""
        with self._lock:
            name = lib.cdl_model_active_adapter(self._model.pointer)
            return None if name == ffi.NULL else text(name)

    @adapter.setter
    def adapter(self, name: Optional[str]) -> None:
        with self._lock:
            check(lib.cdl_model_set_adapter(self._model.pointer, ffi.NULL if name is None else name.encode()))

    @property
    def adapter_config(self) -> Dict[str, Any]:
        """The active adapter's settings in the form of PEFT's adapter_config.json; empty without an adapter."""
        json_text = ffi.new("char **")
        with self._lock:
            check(lib.cdl_model_adapter_config(self._model.pointer, json_text))
            return dict(json.loads(text(json_text[0])))

    def load_adapter(self, path: StrPath, name: str) -> None:
        """Reads another adapter for the same base model, under a name. The active adapter does not change."""
        with self._lock:
            model, folder = self._model.pointer, encoded(path)
            checked(lambda: int(lib.cdl_model_load_adapter(model, folder, name.encode())))

    def create_adapter(self, name: str, **settings: Any) -> None:
        """Makes an untrained adapter from settings of training: method, rank, alpha, targets, seed and so on."""
        chosen = settings_of.Settings(settings)
        with self._lock:
            check(lib.cdl_model_create_adapter(self._model.pointer, chosen.pointer, name.encode()))

    def delete_adapter(self, name: str) -> None:
        """Frees an adapter that is not active."""
        with self._lock:
            check(lib.cdl_model_delete_adapter(self._model.pointer, name.encode()))

    # ---- Files ----

    def export(self, format: str, folder: StrPath) -> float:
        """Writes the active adapter to a new folder, in one of FORMATS.

        Returns the largest change of a logit by merging, measured on a few sequences of random tokens; 0 if nothing is merged.
        """
        change = ffi.new("double *")
        with self._lock:
            model, path = self._model.pointer, encoded(folder)
            if format == "merged":
                check(lib.cdl_model_merge(model, path, change))
            elif format == "adapter":
                check(lib.cdl_model_save_adapter(model, lib.cdl_model_active_adapter(model), path))
            elif format in ("peft", "onnx"):
                options = ffi.new("cdl_export_options *", lib.cdl_export_options_init())
                options.format = lib.CDL_EXPORT_LORA if format == "peft" else lib.CDL_EXPORT_ONNX
                check(lib.cdl_model_export(model, path, options, change))
            else:
                raise ArgumentError(f"there is no format {format!r}; there are {', '.join(FORMATS)}")
        return float(change[0])

    def close(self) -> None:
        """Frees the model. It is also freed with the last reference to the object."""
        with self._lock:
            self._model.close()

    def __enter__(self) -> "Classifier":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
