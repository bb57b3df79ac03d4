"""The exceptions of otto: one base, and a class beside each built-in one that fits."""

__all__ = [
    "ConditionFailed",
    "Corrupt",
    "MissingPackage",
    "NoRun",
    "NotFound",
    "OttoError",
    "ProducerEnded",
    "StreamClosed",
    "SystemRefused",
    "TimedOut",
    "Unreachable",
    "UsageError",
]


class OttoError(Exception):
    """Whatever goes wrong in otto; its text is one line that says what to do.

    >>> import otto
    >>> with otto.serve():
    ...     try:
    ...         otto.get("build.version")
    ...     except otto.OttoError as error:
    ...         print(type(error).__name__, "-", error)
    NotFound - no such key: build.version
    """

    def __str__(self) -> str:
        # KeyError would show the text in quotes and OSError with its number in front.
        return str(self.args[-1]) if self.args else ""


class NotFound(OttoError, KeyError):
    """No such key, region or stream."""


class TimedOut(OttoError, TimeoutError):
    """The timeout passed first."""


class ProducerEnded(OttoError):
    """The task that should have produced this has ended, so it can no longer come."""


class ConditionFailed(OttoError):
    """``if_absent`` or ``if_revision`` did not hold; nothing was changed."""


class UsageError(OttoError, ValueError):
    """A key, pattern or value that is not well formed, or is above its limit."""


class NoRun(OttoError, RuntimeError):
    """There is no run to speak to: start one with ``otto-serve`` or ``otto.serve()``."""


class Corrupt(OttoError, ValueError):
    """Stored bytes are not what any writer leaves behind."""


class Unreachable(OttoError, ConnectionError):
    """The server can't be reached, or went away."""


class StreamClosed(OttoError, BrokenPipeError):
    """All readers of a stream have gone."""


class SystemRefused(OttoError, OSError):
    """The system refused: ``errno`` says why."""


class MissingPackage(OttoError, ImportError):
    """A package this needs is not installed."""
