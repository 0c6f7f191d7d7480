"""The process in a sandbox: decodes one file after the other as it is told.

Run by sandbox.py as `python -m extractors.sandbox_child`. It imports no torch, for it is started
again after each crash.
"""

import errno
import importlib
import os
import resource
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
from numpy.typing import NDArray

from extractors.media import MediaError
from extractors.readable import check_readable
from extractors.sandbox_wire import Labelled, Message, receive, send, send_array
from mcn.parent import die_with_parent

Decode = Callable[..., Iterator[NDArray[Any] | Labelled]]


def main(descriptor: int, parent_id: int, memory_bytes: int, module: str, name: str) -> None:
    """Serve until the parent closes its end, or is gone."""
    die_with_parent()
    if os.getppid() != parent_id:  # it died before it could be watched
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    decode: Decode = getattr(importlib.import_module(module), name)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with socket.socket(fileno=descriptor) as channel:

        def fill(buffer: memoryview) -> None:
            while buffer:
                count = channel.recv_into(buffer)
                if not count:
                    raise EOFError
                buffer = buffer[count:]

        while True:
            try:
                request = receive(fill)
            except EOFError:
                return
            send(channel, {"kind": "begun"})
            send(channel, _serve(decode, request, channel))


def _serve(decode: Decode, request: Message, channel: socket.socket) -> Message:
    """Sends the arrays; returns how it ended."""
    path = Path(request["path"])
    try:
        try:
            for item in decode(path, **request["arguments"]):
                array, label = item if isinstance(item, Labelled) else (item, {})
                send_array(channel, array, label)
        except MediaError:
            check_readable(path)  # if it is not, that is what is wrong
            raise
    except MediaError as error:
        return {"kind": "failed", "reason": error.reason, "message": error.message}
    except MemoryError:
        return {"kind": "out-of-memory"}
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:  # FFmpeg's scaler, of colours that it does not know
            return {"kind": "failed", "reason": "undecodable", "message": f"{path}: {error}"}
        return {"kind": "os-error", "errno": error.errno, "message": error.strerror}
    except av.error.FFmpegError as error:
        return {"kind": "failed", "reason": "undecodable", "message": f"{path}: {error}"}
    except Exception as error:
        traceback.print_exc()  # to the log of the task, for whoever is to mend it
        message = f"{path}: {type(error).__name__}: {error}"
        return {"kind": "failed", "reason": "unforeseen", "message": message}
    return {"kind": "done"}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])
