"""Training: `train`, and the `Run` that it returns."""
from __future__ import annotations

import json
import os
import pathlib
import queue
import shutil
import tempfile
import threading
import weakref
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Type, Union

import numpy as np
import numpy.typing as npt

from condlora import _hub as hub
from condlora import data as data_of
from condlora._c import ffi, lib
from condlora._library import StrPath, encoded, enter, text as text_of
from condlora.classifier import Classifier
from condlora.data import Data
from condlora.errors import ArgumentError, CancelledError, CondloraError, UsageError, failure
from condlora.progress import ProgressLine
from condlora.settings import Settings

METRICS = tuple(text_of(lib.cdl_metric_name(i)) for i in range(lib.CDL_METRIC_COUNT))


@dataclass(frozen=True)
class Scores:
    """Scores on a split: the number of examples, their mean loss, and the metrics of the task by name."""

    examples: int
    loss: float
    metrics: Dict[str, float]


@dataclass(frozen=True)
class Step:
    """What `on_step` receives. The loss can be that of a step up to four earlier than the one in progress."""

    step: int
    steps: int
    epoch: float
    loss: float
    learning_rate: float
    gradient_norm: float
    examples_per_s: float
    seconds_left: float


@dataclass(frozen=True)
class Evaluation:
    """What `on_evaluation` receives. `split` is "valid" (held-out training examples) or "dev"."""

    step: int
    epoch: float
    split: str
    scores: Scores
    is_best: bool


OnStep = Callable[[Step], Optional[bool]]
OnEvaluation = Callable[[Evaluation], Optional[bool]]


def _scores(scores: Any) -> Scores:
    values = [float(scores.metric[i]) for i in range(len(METRICS))]
    metrics = {name: value for name, value in zip(METRICS, values) if value == value and name != "loss"}
    return Scores(int(scores.examples), float(scores.loss), metrics)


class _Training:
    """One call of the library, in a thread of its own. The caller's thread waits, so that it can be interrupted at any time, and
    runs the callbacks; the training thread waits for each of them."""

    def __init__(self, listeners: Sequence[Any]):
        self._listeners = listeners
        self._events: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
        self._answers: "queue.SimpleQueue[None]" = queue.SimpleQueue()
        self._ended = threading.Event()
        self._stop = ffi.new("int *")  # a thread other than the training thread sets it
        self._error: Optional[CondloraError] = None

    def tell(self, event: Any) -> None:
        """Called in the training thread."""
        if self._stop[0]:
            return
        self._events.put(event)
        while not self._stop[0]:
            try:
                return self._answers.get(timeout=0.1)
            except queue.Empty:
                pass

    def _work(self, call: Callable[[Any], int], handle: Any) -> None:
        callbacks = ffi.new("cdl_train_callbacks *", lib.cdl_train_callbacks_init())
        callbacks.user, callbacks.stop = handle, self._stop
        callbacks.step, callbacks.evaluation = lib.condlora_step, lib.condlora_evaluation
        hub.listen(lambda: bool(self._stop[0]), self.tell)
        try:
            status = call(callbacks)
            if status != lib.CDL_STATUS_OK:
                self._error = failure(status)  # the message is this thread's
        finally:
            self._ended.set()
            self._events.put(None)

    def _hear(self) -> None:
        while True:
            event = self._events.get()
            if event is None:
                return
            for listener in self._listeners:
                if listener(event) is True:
                    self._stop[0] = 1
            self._answers.put(None)

    def run(self, call: Callable[[Any], int]) -> None:
        handle = ffi.new_handle(self)
        thread = threading.Thread(target=self._work, args=(call, handle), name="condlora-train")
        raised: Optional[BaseException] = None
        try:
            thread.start()
            self._hear()
        except BaseException as error:  # KeyboardInterrupt, or what a callback raised: it is raised again after the run is saved
            raised = error
            self._stop[0] = 1
        while not self._ended.is_set():
            try:
                if not self._ended.wait(1) and thread.ident is None:
                    break  # it was never started
            except KeyboardInterrupt as error:
                raised = raised or error
        if raised is not None:
            raise raised
        if self._error is not None:
            raise self._error


@ffi.def_extern(name="condlora_step")  # type: ignore[untyped-decorator]
def _on_step(user: Any, step: Any) -> None:
    ffi.from_handle(user).tell(
        Step(
            step.step,
            step.steps,
            step.epoch,
            step.loss,
            step.learning_rate,
            step.gradient_norm,
            step.examples_per_s,
            step.seconds_left,
        )
    )


@ffi.def_extern(name="condlora_evaluation")  # type: ignore[untyped-decorator]
def _on_evaluation(user: Any, e: Any) -> None:
    ffi.from_handle(user).tell(Evaluation(e.step, e.epoch, text_of(e.split), _scores(e.scores), bool(e.is_best)))


class Run:
    """A finished run of training.

    It predicts as a `Classifier` does, which it opens at the first use. Without `output` the run lies in a private temporary
    folder, which is removed with the object: `save` or `export` what is to stay.
    """

    #: The folder of the run (docs/files.md): adapter, metrics.json, run.json, train.jsonl.
    folder: pathlib.Path
    #: The folder of the adapter, or of the model for a method that trains the whole model.
    adapter: pathlib.Path
    #: Numbers of trainable parameters.
    adapter_parameters: int
    head_parameters: int
    #: Steps of the run, and the step and epoch of the adapter that was kept.
    steps: int
    best_step: int
    best_epoch: float
    examples_per_s: float
    #: Peak memory of the process in bytes.
    peak_bytes: int
    #: The metric that chose the best adapter.
    main_metric: str
    #: Scores of the adapter that was kept, on held-out training examples and on `dev`; None without such examples.
    valid: Optional[Scores]
    dev: Optional[Scores]

    def __init__(self, folder: str, result: Any, temporary: Optional[str]):
        self.folder = pathlib.Path(folder)
        self.adapter = pathlib.Path(os.fsdecode(ffi.string(result.adapter)))
        self.adapter_parameters, self.head_parameters = result.adapter_parameters, result.head_parameters
        self.steps, self.best_step, self.best_epoch = result.steps, result.best_step, result.best_epoch
        self.examples_per_s, self.peak_bytes = result.examples_per_s, result.peak_bytes
        self.main_metric = METRICS[result.main_metric]
        self.valid = _scores(result.valid) if result.has_valid else None
        self.dev = _scores(result.dev) if result.has_dev else None
        # At the latest at the end of the process.
        self._remove = weakref.finalize(self, _remove_folder, temporary, os.getpid()) if temporary is not None else None
        self._opened: Optional[Classifier] = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        scores = self.valid or self.dev
        shown = "".join(f", {name} {value:.4f}" for name, value in scores.metrics.items()) if scores else ""
        return f"<condlora.Run of {self.steps} steps in {str(self.folder)!r}{shown}>"

    @property
    def settings(self) -> Dict[str, Any]:
        """The settings of the run."""
        return dict(json.loads((self.folder / "run.json").read_text(encoding="utf-8"))["settings"])

    @property
    def history(self) -> List[Dict[str, Any]]:
        """One record for each step: the lines of train.jsonl."""
        with open(self.folder / "train.jsonl", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    @property
    def classifier(self) -> Classifier:
        """The trained model, with the settings of the run. `Classifier(run.folder, ...)` opens it with others."""
        with self._lock:
            if self._opened is None:
                s = self.settings
                self._opened = Classifier(
                    self.folder,
                    backend=s.get("backend") or "auto",
                    precision=s.get("precision") or "fp32",
                    threads=s.get("threads") or 0,
                    max_length=s.get("max_length") or 0,
                )
            return self._opened

    def predict(self, texts: Iterable[str], pairs: Optional[Iterable[str]] = None) -> npt.NDArray[Any]:
        """As `Classifier.predict`."""
        return self.classifier.predict(texts, pairs)

    def predict_proba(self, texts: Iterable[str], pairs: Optional[Iterable[str]] = None) -> npt.NDArray[np.float64]:
        """As `Classifier.predict_proba`."""
        return self.classifier.predict_proba(texts, pairs)

    def logits(self, texts: Iterable[str], pairs: Optional[Iterable[str]] = None) -> npt.NDArray[np.float32]:
        """As `Classifier.logits`."""
        return self.classifier.logits(texts, pairs)

    def export(self, format: str, folder: StrPath) -> float:
        """As `Classifier.export`: "peft", "onnx", "merged" or "adapter"."""
        return self.classifier.export(format, folder)

    def save(self, folder: StrPath) -> None:
        """Copies the adapter, or the model that was trained whole, to a new folder, which `Classifier` opens."""
        if os.path.exists(folder):
            raise ArgumentError(f"{os.fspath(folder)}: it exists already")
        shutil.copytree(self.adapter, folder)

    def close(self) -> None:
        """Frees the model, and removes the folder if it is temporary."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None
        if self._remove is not None:
            self._remove()

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def _remove_folder(folder: str, owner: int) -> None:
    """Removes a temporary folder, unless this process is a fork of the one that made it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _columns(settings: Dict[str, Any], text: Any, label: Any, train: Any) -> None:
    """Gives the columns their names of settings; for data in memory each has a default."""
    for short, name, value in (("text", "text_columns", text), ("label", "label_column", label)):
        if value is not None and settings.get(name) is not None:
            raise TypeError(f"train() takes {short} or {name}, not both")
        if value is not None:
            settings[name] = value
    if train is not None and not data_of.is_path(train):
        settings["text_columns"] = data_of.text_names(train, settings.get("text_columns"))
        settings["label_column"] = data_of.listed(settings.get("label_column") or "label")


def _listeners(line: Optional[ProgressLine], on_step: Optional[OnStep], on_evaluation: Optional[OnEvaluation]) -> List[Any]:
    listeners: List[Any] = []
    if line is not None:
        listeners.append(line.show)
    if on_step is not None:
        listeners.append(lambda event: on_step(event) if isinstance(event, Step) else None)
    if on_evaluation is not None:
        listeners.append(lambda event: on_evaluation(event) if isinstance(event, Evaluation) else None)
    return listeners


def train(
    *,
    model: Optional[StrPath] = None,
    train: Optional[Data] = None,
    dev: Optional[Data] = None,
    text: Union[None, str, Sequence[str]] = None,
    label: Union[None, str, Sequence[str]] = None,
    output: Optional[StrPath] = None,
    resume: bool = False,
    progress: bool = False,
    on_step: Optional[OnStep] = None,
    on_evaluation: Optional[OnEvaluation] = None,
    **settings: Any,
) -> Run:
    """Trains an adapter.

    `model` is the folder or the name of a base model. `train` and `dev` are examples: a file, a DataFrame, columns by name, or
    rows (condlora.data.Data). `text` names the column of the text, or the two columns of a pair; `label` names the column of the
    label, or several columns of numbers. Every other keyword is a setting of `condlora train` under the same name: method, rank, epochs, lr, backend and so on.

    `output` is the new folder of the run. An interrupted run is saved there, and the same call with `resume=True` continues it;
    the result has the same bytes as an uninterrupted run. Without `output` the run lies in a temporary folder.

    `on_step` and `on_evaluation` are called in the calling thread. If one returns True, the run is saved and ends with
    CancelledError; an exception in one, or KeyboardInterrupt, is raised after the run is saved.
    """
    if resume and output is None:
        raise UsageError("resume needs the output folder of the run to continue")
    for name in ("resume", "output"):
        settings.pop(name, None)
    temporary = tempfile.mkdtemp(prefix="condlora-") if output is None else None
    folder = os.path.join(temporary, "run") if temporary is not None else os.fspath(output or "")
    line = ProgressLine() if progress else None
    examples = ""
    try:
        with tempfile.TemporaryDirectory(prefix="condlora-data-") as examples:
            listeners = _listeners(line, on_step, on_evaluation)
            result = _train(folder, resume, examples, settings, listeners, model=model, train=train, dev=dev, text=text, label=label)
    except BaseException as error:
        if isinstance(error, CondloraError):
            error.args = (data_of.in_memory(str(error), examples),)
        if temporary is not None:
            _remove_folder(temporary, os.getpid())
        elif isinstance(error, (KeyboardInterrupt, CancelledError)) and hasattr(error, "add_note"):  # since Python 3.11
            error.add_note(f"the run is saved in {folder}; resume=True continues it")
        raise
    finally:
        if line is not None:
            line.close()
    return Run(folder, result, temporary)


def _train(
    folder: str,
    resume: bool,
    examples: str,
    settings: Dict[str, Any],
    listeners: Sequence[Any],
    *,
    model: Optional[StrPath],
    train: Any,
    dev: Any,
    text: Any,
    label: Any,
) -> Any:
    _columns(settings, text, label, train)
    for what, data in (("train", train), ("dev", dev)):
        if data is None or data_of.is_path(data):
            settings[what] = data
            continue
        settings[what] = os.path.join(examples, what + ".jsonl")
        texts = data_of.listed(settings.get("text_columns") or "text")
        data_of.write(data, settings[what], texts, data_of.listed(settings.get("label_column") or "label"), what)
    settings["model"] = model
    continues = resume and os.path.exists(os.path.join(folder, "run.json"))
    if not continues:
        settings["output"] = folder
    chosen = Settings(settings)
    result = ffi.new("cdl_train_result *", lib.cdl_train_result_init())
    enter()
    path = encoded(folder)
    if continues:
        _Training(listeners).run(lambda callbacks: lib.cdl_train_resume(path, chosen.pointer, callbacks, result))
    else:
        _Training(listeners).run(lambda callbacks: lib.cdl_train(chosen.pointer, callbacks, result))
    return result
