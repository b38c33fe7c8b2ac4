"""The line that shows how training goes."""
from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Optional, TextIO

if TYPE_CHECKING:
    from condlora._hub import Download
    from condlora.training import Evaluation, Step

_INTERVAL_S = 0.1


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class ProgressLine:
    """Rewrites one line on standard error, in a terminal and in a notebook; elsewhere it writes the evaluations alone."""

    def __init__(self, stream: Optional[TextIO] = None):
        self._stream = stream if stream is not None else sys.stderr
        self._live = self._stream.isatty() or "ipykernel" in sys.modules
        self._next = 0.0
        self._width = 0

    def _show(self, line: str, end: str) -> None:
        start = "\r" if self._live else ""
        self._stream.write(start + line + " " * (self._width - len(line)) + end)
        self._stream.flush()
        self._width = 0 if end else len(line)

    def step(self, step: "Step") -> None:
        now = time.monotonic()
        if self._live and (now >= self._next or step.step == step.steps):
            self._next = now + _INTERVAL_S
            self._show(
                f"step {step.step}/{step.steps}  epoch {step.epoch:.2f}  loss {step.loss:.4f}  "
                f"{step.examples_per_s:.1f} examples/s  {_clock(step.seconds_left)} left",
                "",
            )

    def evaluation(self, evaluation: "Evaluation") -> None:
        scores = "  ".join(f"{name} {value:.4f}" for name, value in evaluation.scores.metrics.items())
        best = "  (best so far)" if evaluation.is_best else ""
        self._show(f"epoch {evaluation.epoch:.2f}  {evaluation.split}: loss {evaluation.scores.loss:.4f}  {scores}{best}", "\n")

    def download(self, download: "Download") -> None:
        if self._live:
            whole = f" of {download.total / 1e6:.0f}" if download.total else ""
            self._show(f"downloading {download.name}: {download.bytes / 1e6:.0f}{whole} MB", "")
        elif download.finished:
            self._show(f"downloaded {download.name}: {download.bytes / 1e6:.0f} MB", "\n")

    def show(self, event: Any) -> None:
        """Shows any event of training."""
        show: Any = {"Step": self.step, "Evaluation": self.evaluation, "Download": self.download}[type(event).__name__]
        show(event)

    def close(self) -> None:
        if self._width > 0:
            self._stream.write("\n")
            self._stream.flush()
