"""What is said below a table of probes: what is missing, and what is not compared."""

from collections import Counter
from collections.abc import Sequence

from mcn.probes.results import BenchmarkProbes, ProbeResults
from mcn.probes.settings import INPUTS
from mcn.report.probe_orders import HOW, LOOKED_AT, kinds, like_orders


def missing_remarks(run: ProbeResults, key: str) -> list[str]:
    """Each kind of what is missing once, however many runs and ways it concerns."""
    if key not in run.benchmarks:
        return []
    benchmark = run.benchmarks[key]
    remarks = []
    for looks_at in INPUTS:
        parts = [part for part in benchmark.parts if part.looks_at == looks_at]
        missing = {video_id: why for part in parts for video_id, why in part.missing.items()}
        if missing:
            counts = sorted(Counter(missing.values()).items())
            reasons = ", ".join(f"{count} x {reason}" for reason, count in counts)
            remarks.append(
                f"{benchmark.title}, {LOOKED_AT[looks_at]}: {len(missing)} tested videos have no "
                f"features and count as wrong ({reasons})."
            )
        if left_out := max((part.num_left_out for part in parts), default=0):
            remarks.append(
                f"{benchmark.title}, {LOOKED_AT[looks_at]}: up to {left_out} training videos of a "
                "split have no features and are left out."
            )
        if untaught := max((part.num_untaught for part in parts), default=0):
            remarks.append(
                f"{benchmark.title}, {LOOKED_AT[looks_at]}: in a split up to {untaught} of "
                f"{benchmark.num_classes} classes have too few training videos with features; "
                "their test videos count as wrong."
            )
        if looks_at in benchmark.skipped:
            remarks.append(f"{LOOKED_AT[looks_at]} is left out: {benchmark.skipped[looks_at]}.")
    return remarks


def unlike_remarks(key: str, part: BenchmarkProbes, probed: Sequence[ProbeResults]) -> list[str]:
    """Which orders stand apart, and whether the features do."""
    remarks = []
    for looks_at, way in kinds():
        likes = like_orders(probed, key, way, looks_at)
        labels = [like.label(order) for like in likes[1:] for order in like.orders]
        if labels:
            remarks.append(
                f"{part.title}, {LOOKED_AT[looks_at]}, {HOW[way]}: {', '.join(labels)}: with other "
                "settings or on other data than most, and compared only with what was probed alike."
            )
        shown = {id(run) for like in likes for order in like.orders for run in order.seeds}
        if any(
            key in run.benchmarks and run.benchmarks[key].of(way, looks_at) and id(run) not in shown
            for run in probed
        ):
            remarks.append(
                f"{part.title}, {LOOKED_AT[looks_at]}, {HOW[way]}: features alone are left out, "
                "since no run was probed with their settings on their data."
            )
    return remarks
