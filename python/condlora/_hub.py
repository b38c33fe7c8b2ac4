"""Models and adapters that the library downloads by name: their progress, and how Ctrl-C stops them."""
from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Optional

from condlora._c import ffi, lib
from condlora._library import log, text
from condlora.errors import CancelledError, check

if TYPE_CHECKING:
    from condlora.progress import ProgressLine


@dataclass(frozen=True)
class Download:
    """State of a download, in bytes; `total` is 0 while it is unknown."""

    name: str
    bytes: int
    total: int
    finished: bool


class _Thread(threading.local):
    """What belongs to the thread that is inside the library."""

    stops: Optional[Callable[[], bool]] = None
    tell: Optional[Callable[[Download], Any]] = None
    error: Optional[BaseException] = None


_thread = _Thread()


def listen(stops: Callable[[], bool], tell: Callable[[Download], Any]) -> None:
    """In this thread downloads are reported to `tell`, and stop when `stops` is true."""
    _thread.stops, _thread.tell = stops, tell


def _stopped(_kind: Any, error: BaseException, _trace: Any) -> int:
    """KeyboardInterrupt in the callback stops the download; `checked` raises it again."""
    _thread.error = error
    return 1


@ffi.def_extern(name="condlora_download", onerror=_stopped, error=1)  # type: ignore[untyped-decorator]
def _download(_user: Any, progress: Any) -> int:
    if _thread.stops is not None and _thread.stops():
        return 1
    state = Download(text(progress.name), progress.bytes, progress.total, bool(progress.finished))
    if _thread.tell is not None:
        _thread.tell(state)
    elif state.finished:
        log.info("%s: %.0f MB downloaded", state.name, state.bytes / 1e6)
    return 0


def checked(call: Callable[[], int], line: Optional["ProgressLine"] = None) -> None:
    """Makes a call that may download, shows the download on a line, and raises the call's error, or the exception that ended a
    download."""
    _thread.error = None
    _thread.tell = line.download if line is not None else None
    try:
        check(call())
    except CancelledError:
        error, _thread.error = _thread.error, None
        if error is not None:
            raise error from None
        raise
    finally:
        _thread.tell = None
        if line is not None:
            line.close()


_options = ffi.new("cdl_hub_options *", lib.cdl_hub_options_init())
_options.progress = lib.condlora_download
check(lib.cdl_hub_use(_options))
