"""Exceptions. Each status of the library has a class; its text is the library's one line."""
from __future__ import annotations

import re

from condlora._c import ffi, lib


class CondloraError(Exception):
    """The base of all exceptions of this package."""


class UsageError(CondloraError, ValueError):
    """An invalid option or setting."""


class ArgumentError(CondloraError, ValueError):
    """A call whose arguments break its contract."""


class DataError(CondloraError, ValueError):
    """A file or data set with invalid content."""


class FileError(CondloraError, OSError):
    """A read or a write failed."""


class OutOfMemoryError(CondloraError, MemoryError):
    """There is not enough memory."""


class AbsentError(CondloraError, LookupError):
    """A device, a library or a file was not found."""


class UnsupportedError(CondloraError, NotImplementedError):
    """The backend or this version does not support it."""


class DeviceError(CondloraError, RuntimeError):
    """A device or its library failed."""


class NumericError(CondloraError, ArithmeticError):
    """A value that is not finite, or a singular matrix."""


class CancelledError(CondloraError):
    """The run was stopped on request, after it was saved."""


class ForkError(CondloraError, RuntimeError):
    """A forked process used what its parent had opened. The library has threads and devices, which do not survive a fork."""


_CLASSES = {
    "USAGE": UsageError,
    "ARGUMENT": ArgumentError,
    "DATA": DataError,
    "IO": FileError,
    "MEMORY": OutOfMemoryError,
    "ABSENT": AbsentError,
    "UNSUPPORTED": UnsupportedError,
    "DEVICE": DeviceError,
    "NUMERIC": NumericError,
    "CANCELLED": CancelledError,
}


def _as_keywords(message: str) -> str:
    """The library names settings as the options of its programs; here they are keywords."""
    message = re.sub(r"(?<!\S)--resume\b", "resume=True", message)
    return re.sub(r"(?<!\S)--([a-z][a-z0-9-]*)", lambda option: option[1].replace("-", "_"), message)


def failure(status: int) -> CondloraError:
    """Returns the exception for a status, with the message of this thread's last failure."""
    name = ffi.string(lib.cdl_status_name(status)).decode()
    message = ffi.string(lib.cdl_error_message()).decode("utf-8", "replace")
    return _CLASSES.get(name, CondloraError)(_as_keywords(message))


def check(status: int) -> None:
    """Raises the exception of a status; CDL_STATUS_OK has none."""
    if status != lib.CDL_STATUS_OK:
        raise failure(status)
