"""Progress bars: a line on a terminal, a bar in a notebook, and nothing where nobody watches."""
from __future__ import annotations

import html
import sys
import time
from typing import Any

_REDRAW_S = 0.1
_BAR_CHARS = 30


def _in_notebook() -> bool:
    """Whether this is a kernel of Jupyter, which shows HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def is_watched() -> bool:
    """Whether a bar would be seen: in a notebook, or if stderr is a terminal."""
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


class Bar:
    """Shows `done` of `total` with a text; as a context manager it ends the line."""

    def __init__(self, total: int, text: str = ""):
        self.total, self.text = total, text
        self._shown_s = 0.0
        self._start_s = time.monotonic()
        self._display: Any = None
        self._notebook = _in_notebook()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._notebook:
            self.show(self._done, force=True)
        elif self._shown_s:
            print(file=sys.stderr)

    _done = 0

    def show(self, done: int, text: str | None = None, total: int | None = None, force: bool = False) -> None:
        """Draws, at most ten times a second unless it is the last time."""
        self._done = done
        self.text = self.text if text is None else text
        self.total = self.total if total is None else total
        now = time.monotonic()
        if now - self._shown_s < _REDRAW_S and done < self.total and not force:
            return
        self._shown_s = now
        if self._notebook:
            self._show_html(done)
        else:
            filled = _BAR_CHARS * done // max(self.total, 1)
            line = f"{'#' * filled}{'.' * (_BAR_CHARS - filled)} {done}/{self.total} {self._left(done)}{self.text}"
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    def _left(self, done: int) -> str:
        if done == 0 or done >= self.total:
            return ""
        seconds = (time.monotonic() - self._start_s) / done * (self.total - done)
        return f"{int(seconds // 60)}:{int(seconds % 60):02d} left  "

    def _show_html(self, done: int) -> None:
        from IPython.display import HTML, display

        body = HTML(f'<progress value="{done}" max="{max(self.total, 1)}" style="width: 20em"></progress> '
                    f"{done}/{self.total} {html.escape(self._left(done) + self.text)}")
        if self._display is None:
            self._display = display(body, display_id=True)
        else:
            self._display.update(body)
