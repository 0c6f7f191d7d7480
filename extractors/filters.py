"""FFmpeg filter graphs: decoded frames in, frames of one size, rate and format out."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

from av.audio.frame import AudioFrame
from av.filter import Graph
from av.video.frame import VideoFrame

Fit = Literal["stretch", "pad", "crop"]

TURNS = {90: ["transpose=cclock"], 180: ["hflip", "vflip"], 270: ["transpose=clock"]}
"""What sets a picture upright whose file says so many degrees, counter-clockwise."""


BT709, UNSPECIFIED_MATRIX, YCGCO, BT2020, BT2020_CONSTANT = 1, 2, 8, 9, 10
KNOWN_MATRICES = frozenset({0, BT709, UNSPECIFIED_MATRIX, 4, 5, 6, 7, BT2020})
"""Of colours, by their numbers in H.273: those that FFmpeg's scaler knows."""


def kept_matrix(matrix: int) -> int:
    """The matrix that pictures come out with; YCgCo is converted, others are taken for the nearest.

    Where none is near they are taken for unspecified: the picture is right, its colours are not.
    """
    if matrix in KNOWN_MATRICES:
        return matrix
    return {YCGCO: BT709, BT2020_CONSTANT: BT2020}.get(matrix, UNSPECIFIED_MATRIX)


def pulled(graph: Graph) -> Iterator[VideoFrame | AudioFrame]:
    """What the graph has ready."""
    while True:
        try:
            yield graph.pull()
        except (BlockingIOError, EOFError):  # FFmpeg's words for "not yet" and "no more"
            return


def through(
    graph: Graph, frame: VideoFrame | AudioFrame | None
) -> Iterator[VideoFrame | AudioFrame]:
    """What the graph has ready once it has this frame; with None, all that it still holds back."""
    graph.push(frame)
    yield from pulled(graph)


def audio_graph(first: AudioFrame, *, sample_rate: int, first_sample: int = 0) -> Graph:
    """Turns frames like `first` into mono sound that begins at one sample, by default at time 0.

    Silence fills what is missing before the first frame, and gaps of more than 0.1 s.

    Args:
        first: The first frame that will be pushed.
        sample_rate: Of what comes out.
        first_sample: Where it begins, in samples of what comes out, as near as one of `first` is.
    """
    first_pts = round(Fraction(first_sample * first.sample_rate, sample_rate))  # of what goes in
    chain = [
        f"abuffer=sample_rate={first.sample_rate}:sample_fmt={first.format.name}"
        f":channel_layout={first.layout.name}:time_base={first.time_base}",
        f"aresample={sample_rate}:async=1:first_pts={first_pts}",
        "aformat=sample_fmts=fltp:channel_layouts=mono",
    ]
    return _linked([*chain, "abuffersink"])


def video_graph(
    first: VideoFrame,
    *,
    width: int,
    height: int,
    fps: int,
    fit: Fit,
    pixel_aspect: Fraction = Fraction(1),
    source_fps: float = 0.0,
) -> Graph:
    """Turns frames like `first` upright, to one size, and to a constant rate that begins at 0.

    Args:
        first: The first frame that will be pushed.
        width: Of the frames that come out.
        height: Of the frames that come out.
        fps: At each tick comes what was on the screen then: a frame may come twice, or never.
        fit: Whether a picture of another shape is distorted, gets black bars, or loses its edges.
        pixel_aspect: Width of the source's pixels as a multiple of their height.
        source_fps: Roughly how many frames a second will be pushed; decides nothing but the cost.
    """
    turns = TURNS.get(first.rotation % 360, [])
    shown = first.width * pixel_aspect, Fraction(first.height)
    to_size = _to_size(shown[::-1] if len(turns) == 1 else shown, width, height, fit)
    to_rate = [f"fps={fps}:start_time=0:eof_action=pass"]
    # A frame that is dropped later need not be scaled, nor one that is repeated scaled twice.
    to_form = [*to_rate, *turns, *to_size] if source_fps > fps else [*turns, *to_size, *to_rate]
    matrix = kept_matrix(first.colorspace)
    if matrix != first.colorspace:
        to_form = [f"setparams=colorspace={matrix}", *to_form]
    if first.colorspace == YCGCO:
        to_form = [*to_form, "colorspace=all=bt709:ispace=ycgco:iprimaries=bt709:itrc=bt709"]
    source = (
        f"buffer=video_size={first.width}x{first.height}:pix_fmt={first.format.name}"
        f":time_base={first.time_base}:colorspace={matrix}:range={first.color_range}"
    )
    return _linked([source, *to_form, "buffersink"])


def _to_size(shown: tuple[Fraction, Fraction], width: int, height: int, fit: Fit) -> list[str]:
    """Filters that bring a picture, shown at that size by a player, to width x height."""
    form = "flags=bicubic:out_range=tv", "format=yuv420p", "setsar=1"
    if fit == "stretch":
        return [f"scale={width}:{height}:{form[0]}", *form[1:]]
    ratios = width / shown[0], height / shown[1]
    ratio = min(ratios) if fit == "pad" else max(ratios)
    bound = min if fit == "pad" else max
    # Colours are stored for 2 x 2 pixels, so lengths are even.
    wide, high = (
        max(2, bound(length, 2 * round(extent * ratio / 2)))
        for extent, length in zip(shown, (width, height), strict=True)
    )
    last = f"pad={width}:{height}:-1:-1" if fit == "pad" else f"crop={width}:{height}"
    return [f"scale={wide}:{high}:{form[0]}", *form[1:], last]


def _linked(chain: list[str]) -> Graph:
    """A graph of filters, each written as `name=arguments`, one after the other."""
    graph = Graph()
    graph.threads = 1
    nodes = []
    for filter_ in chain:
        name, _, arguments = filter_.partition("=")
        nodes.append(graph.add(name, arguments or None))
    graph.link_nodes(*nodes).configure()
    return graph
