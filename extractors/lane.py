"""One stream on its way through: decoded, filtered, handed on."""

from collections.abc import Callable

from av.audio.frame import AudioFrame
from av.filter import Graph
from av.video.frame import VideoFrame

from extractors.filters import through
from extractors.track import MediaPacket, Track


class Lane:
    """Hands on what comes of each packet. The filters are set up for the first frame there is."""

    def __init__(
        self,
        track: Track,
        make_graph: Callable[[VideoFrame | AudioFrame], Graph],
        hand_on: Callable[[VideoFrame | AudioFrame], None],
    ) -> None:
        self.track = track
        self._make_graph = make_graph
        self._hand_on = hand_on
        self._graph: Graph | None = None

    def push(self, packet: MediaPacket) -> None:
        for frame in self.track.decode(packet):
            if self._graph is None:
                self._graph = self._make_graph(frame)
            self._hand_on_all(self._graph, frame)

    def finish(self) -> None:
        """Hands on what the filters still hold back."""
        if self._graph is not None:
            self._hand_on_all(self._graph, None)

    def _hand_on_all(self, graph: Graph, frame: VideoFrame | AudioFrame | None) -> None:
        for ready in through(graph, frame):
            self._hand_on(ready)
