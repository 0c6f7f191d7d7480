"""Decodes files in a child process, so that a file that breaks the decoder costs itself alone.

The child is held to an amount of memory and watched by a clock. Where it crashes, hangs or takes
too much, that is the file's error, and the next file gets a new child. It hears none of the
signals that ask a task to stop, and does not outlive the thread that uses it.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from numpy.typing import NDArray

from extractors.child import Child, HungError
from extractors.media import MediaError
from extractors.sandbox_wire import Labelled, Message, num_bytes, receive, receive_array

TRIES_TO_START = 3


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What a file may cost, in the process that decodes it; one that costs more has failed."""

    seconds: float = 60.0
    """Time for any file."""
    seconds_per_second: float = 2.0
    """Time for each second of the file, on top."""
    memory_gb: float = 4.0
    """Address space of the child. Beside it so much of a file may lie decoded before its decoder
    waits; of sound, of which all is needed at once, there may be no more than this."""
    files_per_child: int = 100
    """Files after which a child makes way for a new one, and with it what has leaked."""

    def __post_init__(self) -> None:
        """Refuses what no child could work with."""
        if self.memory_gb < 1:
            raise ValueError(f"memory_gb {self.memory_gb} must be 1 or more: Python has to fit in")
        if self.files_per_child < 1:
            raise ValueError(f"files_per_child {self.files_per_child} must be 1 or more")

    @property
    def memory_bytes(self) -> int:
        return round(self.memory_gb * 1e9)


DEFAULT_LIMITS = SandboxLimits()


class Sandbox:
    """Runs one decoding function on file after file; a context manager that ends the child.

    For one thread at a time. The child starts with the first file.
    """

    def __init__(
        self,
        decode: Callable[..., Iterator[NDArray[Any] | Labelled]],
        limits: SandboxLimits = DEFAULT_LIMITS,
    ) -> None:
        """Takes a function of a module that does not import torch: children start often."""
        self._decode = decode
        self._limits = limits
        self._child: Child | None = None
        self._seconds = 0.0

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._dismiss()

    def run(
        self, path: Path, *, promised_seconds: float, **arguments: Any
    ) -> Generator[NDArray[Any], None, None]:
        """The arrays of `run_labelled`."""
        with closing(
            self.run_labelled(path, promised_seconds=promised_seconds, **arguments)
        ) as items:
            for item in items:
                yield item.array

    def run_labelled(
        self, path: Path, *, promised_seconds: float, **arguments: Any
    ) -> Generator[Labelled, None, None]:
        """The arrays that `decode(path, **arguments)` yields, with their labels.

        Args:
            path: The file.
            promised_seconds: How long it should be; the clock allows for it.
            **arguments: Further ones of the function, of what JSON has.

        Raises:
            MediaError: As the function raises it; "undecodable" for an error of FFmpeg's;
                "unforeseen" for any other error, which the log has at length; "unreadable-now" for
                any of these if the file cannot be read to its end; "crashed"; "hung" if it was not
                done in time; "out-of-memory" if it needed more than it may.
            OSError: As the function raises it, of other files than this.
            ChildProcessError: No child could be started.
        """
        limits = self._limits
        self._seconds = limits.seconds + limits.seconds_per_second * promised_seconds
        child = self._child_told({"path": str(path), "arguments": arguments}, self._seconds)
        may_go_on = False
        try:
            while (answer := receive(child.fill))["kind"] == "array":
                if num_bytes(answer) > limits.memory_bytes:
                    raise EOFError("more than the child can hold")
                yield Labelled(receive_array(answer, child.fill), answer["label"])
            may_go_on = (
                answer["kind"] != "out-of-memory" and child.num_files < limits.files_per_child
            )
        except EOFError as error:
            raise MediaError("crashed", f"{path}: its decoder {child.ending()}") from error
        except HungError as error:
            raise MediaError("hung", f"{path}: not decoded in {self._seconds:.0f} s") from error
        finally:
            if not may_go_on:
                self._dismiss()
        if answer["kind"] != "done":
            _raise(answer, path, limits)

    def promise_more(self, seconds: float) -> None:
        """The file under way is so much longer than was said; the clock allows for that too."""
        assert self._child is not None, "no file is under way"
        more = self._limits.seconds_per_second * seconds
        self._seconds += more
        self._child.allow(more)

    def _child_told(self, request: Message, seconds: float) -> Child:
        """The child at work on the request; a new one where there is none, or it has ended."""
        for _ in range(TRIES_TO_START):
            if self._child is None:
                self._child = Child(
                    self._decode.__module__, self._decode.__qualname__, self._limits.memory_bytes
                )
            try:
                self._child.tell(request, seconds=seconds)
                return self._child
            except (EOFError, ConnectionError, HungError):  # in starting, or idle: no file's fault
                ending = self._child.ending()
                self._dismiss()
        raise ChildProcessError(
            f"no process to decode {request['path']} in could be started in {TRIES_TO_START} "
            f"tries: the last {ending}, and the log has what it said"
        )

    def _dismiss(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


def _raise(answer: Message, path: Path, limits: SandboxLimits) -> NoReturn:
    match answer["kind"]:
        case "failed":
            raise MediaError(answer["reason"], answer["message"])
        case "out-of-memory":
            size = f"{limits.memory_gb:g} GB"
            raise MediaError("out-of-memory", f"{path}: needs more than {size} to be decoded")
        case _:
            raise OSError(answer["errno"], answer["message"], str(path))
