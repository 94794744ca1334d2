"""Errors: one class with the tag, place and hint of the program's error lines, which Python's own except clauses catch too."""
from __future__ import annotations


class Error(Exception):
    """What minbert refuses or fails at.

    tag: "usage", "data", "model", "resources", "diverged" or "internal"; place: a file, file:line, key or argument, perhaps empty;
    hint: what to do about it, perhaps empty.
    """

    def __init__(self, message: str, tag: str = "usage", place: str = "", hint: str = ""):
        super().__init__(message, tag, place, hint)
        self.message, self.tag, self.place, self.hint = message, tag, place, hint

    def __str__(self) -> str:
        text = f"[{self.tag}] {self.place}: {self.message}" if self.place else f"[{self.tag}] {self.message}"
        return f"{text}\nhint: {self.hint}" if self.hint else text


class UsageError(Error, ValueError):
    """A wrong argument, config or task name; a diverged model."""


class DataError(Error, ValueError):
    """A file of rows or a list of texts or labels that cannot be used."""


class ModelError(Error, OSError, ValueError):
    """A model folder that is missing, broken or unsupported."""


class ResourceError(Error, OSError):
    """Disk, memory, or a lock that another process holds."""


class InternalError(Error, RuntimeError):
    """A bug of minbert: please report it."""


_CLASSES = {"data": DataError, "model": ModelError, "resources": ResourceError, "internal": InternalError}


def make_error(tag: str, place: str, message: str, hint: str) -> Error:
    """The exception of this tag."""
    return _CLASSES.get(tag, UsageError)(message, tag, place, hint)
