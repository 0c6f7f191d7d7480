"""Sound on its way through: decoded, brought to mono and one rate, handed on."""

from collections.abc import Callable

from av.audio.frame import AudioFrame
from av.filter import Graph
from av.video.frame import VideoFrame

from extractors.filters import audio_graph, through
from extractors.track import MediaPacket, Track


class SoundLane:
    """Hands on mono sound from time 0, whatever the form it comes in; which may change on its way.

    A filter takes one form. So where the sound goes on in another, those set up so far are emptied,
    and others go on at the very sample after.
    """

    def __init__(
        self, track: Track, sample_rate: int, hand_on: Callable[[VideoFrame | AudioFrame], None]
    ) -> None:
        self.track = track
        self._sample_rate = sample_rate
        self._hand_on = hand_on
        self._graph: Graph | None = None
        self._form: tuple[object, ...] | None = None
        self._num_samples = 0

    def push(self, packet: MediaPacket) -> None:
        for frame in self.track.decode(packet):
            assert isinstance(frame, AudioFrame)
            form = frame.format.name, frame.sample_rate, frame.layout.name
            if self._graph is None or form != self._form:
                self.finish()
                self._form = form
                self._graph = audio_graph(
                    frame, sample_rate=self._sample_rate, first_sample=self._num_samples
                )
            self._hand_on_all(self._graph, frame)

    def finish(self) -> None:
        """Hands on what the filters still hold back."""
        if self._graph is not None:
            self._hand_on_all(self._graph, None)

    def _hand_on_all(self, graph: Graph, frame: AudioFrame | None) -> None:
        for ready in through(graph, frame):
            assert isinstance(ready, AudioFrame)
            ready.pts = self._num_samples
            self._num_samples += ready.samples
            self._hand_on(ready)
