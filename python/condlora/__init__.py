"""Fine-tunes Transformer encoders with CondLoRA and other low-rank adapters, and classifies texts with them.

    run = condlora.train(model="roberta-base", train=frame, text="text", label="kind", output="run", progress=True)
    run.predict(["..."])

    model = condlora.Classifier("run")
    model.predict(["..."]), model.predict_proba(["..."]), model.logits(["..."])
    model.export("peft", "out")

    condlora.Backend("opencl").gemm(a, b)

The exceptions are subclasses of CondloraError; their text is one line. Notices and warnings of the library go to the logger
"condlora" of the module logging. docs/python.md has the guide.
"""
from condlora._c import ffi as _ffi
from condlora._c import lib as _lib
from condlora.backend import Backend, Listing, Memory, Tensor, backends
from condlora.classifier import Classifier
from condlora.data import Data
from condlora.errors import (
    AbsentError,
    ArgumentError,
    CancelledError,
    CondloraError,
    DataError,
    DeviceError,
    FileError,
    ForkError,
    NumericError,
    OutOfMemoryError,
    UnsupportedError,
    UsageError,
)
from condlora.training import Evaluation, Run, Scores, Step, train

__version__: str = _ffi.string(_lib.cdl_version()).decode()

__all__ = [
    "AbsentError",
    "ArgumentError",
    "Backend",
    "CancelledError",
    "Classifier",
    "CondloraError",
    "Data",
    "DataError",
    "DeviceError",
    "Evaluation",
    "FileError",
    "ForkError",
    "Listing",
    "Memory",
    "NumericError",
    "OutOfMemoryError",
    "Run",
    "Scores",
    "Step",
    "Tensor",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "backends",
    "train",
]
