"""The C library in this process: where OpenBLAS is, where messages go, and what a fork forbids."""
from __future__ import annotations

import logging
import os
import weakref
from typing import Any, Callable, Optional, Union

from condlora._c import ffi, lib
from condlora.errors import ArgumentError, ForkError
from condlora_programs import set_environment

StrPath = Union[str, "os.PathLike[str]"]

log = logging.getLogger("condlora")
_LEVELS = {lib.CDL_LOG_DEBUG: logging.DEBUG, lib.CDL_LOG_NOTICE: logging.INFO, lib.CDL_LOG_WARNING: logging.WARNING}

_opened = False  # whether this process has opened something that a fork would break
_forked = False  # whether this process is a fork of one that had


@ffi.def_extern(name="condlora_log")  # type: ignore[untyped-decorator]
def _log(_user: Any, level: int, line: Any) -> None:
    log.log(_LEVELS.get(level, logging.INFO), "%s", text(line))


def _after_fork() -> None:
    global _forked
    _forked = _forked or _opened


def enter() -> None:
    """Called before the library opens anything. A process that only imports the package may fork."""
    global _opened
    refuse_fork()
    _opened = True


def refuse_fork() -> None:
    if _forked:
        raise ForkError(
            "this process was forked after condlora had opened a model or a backend, whose threads and devices do not survive a "
            'fork; start processes with multiprocessing.get_context("spawn"), or open everything in the child'
        )


def text(pointer: Any) -> str:
    """A C string as str."""
    return str(ffi.string(pointer).decode("utf-8", "replace"))


def encoded(value: StrPath) -> bytes:
    """A path or a name as the bytes that the library takes."""
    result = os.fsencode(os.fspath(value))
    if b"\0" in result:
        raise ArgumentError(f"{value!r} contains a zero byte")
    return result


class Owner:
    """What an object of this package owns in the library: a pointer, and the function that frees it, once. `needs` is
    kept until then."""

    def __init__(self, kind: str, pointer: Any, free: Callable[[Any], Any], needs: object = None):
        self._kind = kind
        self._pointer: Optional[Any] = pointer
        # At the end of the process nothing is freed: threads may still compute, and the system frees all.
        self._end = weakref.finalize(self, _free, pointer, free, needs)
        self._end.atexit = False

    @property
    def pointer(self) -> Any:
        refuse_fork()
        if self._pointer is None:
            raise ArgumentError(f"the {self._kind} is closed")
        return self._pointer

    @property
    def is_closed(self) -> bool:
        return self._pointer is None

    def close(self) -> None:
        self._pointer = None
        self._end()

    def forget(self) -> None:
        """The pointer has been freed already."""
        self._pointer = None
        self._end.detach()


def _free(pointer: Any, free: Callable[[Any], Any], _needs: object) -> None:
    if not _forked:
        free(pointer)


os.register_at_fork(after_in_child=_after_fork)
set_environment()
lib.cdl_log_to(lib.condlora_log, ffi.NULL)
