"""Orders of training: what each means, and where its rows and lines stand."""

from mcn.evaluation.results import RunResults

ORDERS = {
    "AV_T": "audio and video, then text",
    "AT_V": "audio and text, then video",
    "VT_A": "video and text, then audio",
    "AVT": "all three at once",
}
"""What the orders mean, in the sequence in which they are shown."""


def place(results: RunResults) -> tuple[bool, int, str, str, int]:
    """Sorts runs as they are shown: by order, then by seed; controls last."""
    known = list(ORDERS)
    index = known.index(results.stage) if results.stage in known else len(known)
    return results.control != "none", index, results.stage, results.control, results.seed
