"""Port: saying which stage a thread is in, for a profile. Nobody listens unless one was asked for."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from domain.model.stages import Stage


class Passage(Protocol):
    """A stretch of work, entered and left on the same thread."""

    def __enter__(self) -> object:
        """The stage begins."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The stage that was left for this one goes on."""


class Stages(Protocol):
    """Told from any thread; must be cheap and must not raise."""

    def stage(self, stage: Stage) -> Passage:
        """A context whose work belongs to ``stage``; what is entered inside belongs to the inner one."""

    def at_work(self) -> Passage:
        """A context in which this thread is a worker that has something to do."""


class _Nothing:
    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


_NOTHING = _Nothing()


class Untimed:
    """The profile that nobody asked for."""

    def stage(self, stage: Stage) -> Passage:  # noqa: ARG002
        """Ignore."""
        return _NOTHING

    def at_work(self) -> Passage:
        """Ignore."""
        return _NOTHING


UNTIMED = Untimed()
