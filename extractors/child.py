"""A process that serves one decoding function, and the clock that watches it."""

import os
import signal
import socket
import subprocess
import sys
import time

from extractors.sandbox_wire import Message, receive, send
from mcn.stop import STOP_SIGNALS

TICK_SECONDS = 1.0
SECONDS_TO_BE_KILLED_TOO = 2.0
SECONDS_TO_START = 300.0
"""Python on a slow file system may take long."""


class HungError(Exception):
    """The time that the child was given is over."""


class Child:
    """The process at the other end of a socket.

    The kernel ends it together with the thread that makes this object.

    Attributes:
        num_files: How many it has begun.
    """

    def __init__(self, module: str, name: str, memory_bytes: int) -> None:
        """Starts a process that serves this function and may take so much address space."""
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(TICK_SECONDS)
        self._seconds_left = 0.0
        self.num_files = 0
        numbers = theirs.fileno(), os.getpid(), memory_bytes
        command = ["-P", "-m", "extractors.sandbox_child", *map(str, numbers), module, name]
        # What is blocked here stays blocked there: whether to stop is the parent's to decide, and
        # Ctrl-C, which goes to both, prints one traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        except BaseException:
            self._channel.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def tell(self, request: Message, *, seconds: float) -> None:
        """Sends a request; the clock for its answers runs from when the process begins with it.

        Raises:
            EOFError, ConnectionError: There is no process any more, and it has not begun.
            HungError: It has not begun in time.
        """
        send(self._channel, request)
        self._seconds_left = SECONDS_TO_START
        receive(self.fill)
        self._seconds_left = seconds
        self.num_files += 1

    def allow(self, seconds: float) -> None:
        """Gives it so much more time for what it is doing."""
        self._seconds_left += seconds

    def fill(self, buffer: memoryview) -> None:
        """Fills a buffer with what the process sends.

        Raises:
            EOFError: It has ended.
            HungError: The time is over.
        """
        while buffer:
            if self._seconds_left <= 0:
                raise HungError
            began = time.monotonic()
            try:
                count = self._channel.recv_into(buffer)
            except TimeoutError:
                count = None
            except ConnectionError as error:
                raise EOFError from error
            # A task may be suspended for hours meanwhile, and its child with it.
            self._seconds_left -= min(time.monotonic() - began, 2 * TICK_SECONDS)
            if count == 0:
                raise EOFError
            buffer = buffer[count or 0 :]

    def ending(self) -> str:
        """How a process ended that sends no more."""
        try:
            status = self._process.wait(timeout=10 * TICK_SECONDS)
        except subprocess.TimeoutExpired:
            return "fell silent"
        if status == -signal.SIGKILL:
            # Where a whole job is killed its child may be the first to go; no file is to blame.
            time.sleep(SECONDS_TO_BE_KILLED_TOO)
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"left ({status})"

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._channel.close()  # last, or the process might complain before it is gone
