"""Which videos make up which shard, balanced by what they cost."""

import csv
import heapq
import os
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType

from mcn.store.holder import Holder
from mcn.store.layout import lease_folder
from mcn.store.lease import Lease, acquire
from mcn.store.rawio import fsync_folder

Plan = list[list[str]]
"""The video ids of each shard."""
NOTHING_AGAIN: Mapping[int, str] = MappingProxyType({})


def balance(costs: Mapping[str, float], *, num_shards: int) -> Plan:
    """Shards of nearly equal cost: the dearest video first, each to the cheapest shard so far."""
    shards: Plan = [[] for _ in range(num_shards)]
    heap = [(0.0, index) for index in range(num_shards)]
    for video_id in sorted(sorted(costs), key=costs.__getitem__, reverse=True):
        cost, index = heap[0]
        shards[index].append(video_id)
        heapq.heapreplace(heap, (cost + costs[video_id], index))
    return [sorted(shard) for shard in shards]


def extend_plan(path: Path, costs: Mapping[str, float], *, videos_per_shard: int) -> Plan:
    """The plan at `path`, with new shards for videos that it does not know yet.

    What was planned before is never changed, since shards of it may be done or under way.

    Args:
        path: A csv with columns `shard` and `video_id`, and a third field in shards of videos
            that a store tries again; made where it is missing.
        costs: Videos to plan, and what each costs: its frames.
        videos_per_shard: Mean number of videos in a new shard.
    """
    again = shards_again(path)
    plan = with_new_videos(planned(path), costs, videos_per_shard=videos_per_shard)
    keep_plan(path, plan, again)
    return plan


def with_new_videos(plan: Plan, costs: Mapping[str, float], *, videos_per_shard: int) -> Plan:
    """A plan, and shards behind it for videos that it does not know yet."""
    known: set[str] = set().union(*plan)
    new = {video_id: cost for video_id, cost in costs.items() if video_id not in known}
    return _with_shards(plan, new, videos_per_shard=videos_per_shard)


def with_videos_again(plan: Plan, costs: Mapping[str, float], *, videos_per_shard: int) -> Plan:
    """A plan, and shards behind it for videos that are to be tried again.

    Sealed shards never change; in these the videos have records of their own, of which readers
    take the one that is done.
    """
    return _with_shards(plan, costs, videos_per_shard=videos_per_shard)


def keep_plan(path: Path, plan: Plan, again: Mapping[int, str] = NOTHING_AGAIN) -> None:
    """Write it down, if it has more shards than there; one process at a time does so.

    Args:
        path: Where.
        plan: All shards.
        again: The shards in which one store alone tries videos again, with its name.

    Raises:
        ValueError: What is there was planned by another launch, and otherwise.
        LeaseError: Another process is writing a plan there.
    """
    if _is_kept(path, plan, again):
        return
    # Let go and never dissolved: a token is then given once for all time.
    with acquire(lease_folder(path), Holder.here()) as lease, lease.explain_errors():
        if not _is_kept(path, plan, again):
            _write_plan(path, plan, again, lease)


def _is_kept(path: Path, plan: Plan, again: Mapping[int, str]) -> bool:
    """Whether the plan there has all these shards; what both have must be the same."""
    there, labels = planned(path), shards_again(path)
    number = min(len(there), len(plan))
    if there[:number] != plan[:number] or any(
        labels.get(index) != again.get(index) for index in range(number)
    ):
        raise ValueError(
            f"{path} was planned on by another launch meanwhile; run the command again"
        )
    return len(there) >= len(plan)


def shards_again(path: Path) -> dict[int, str]:
    """The shards in which videos are tried again, with the store that alone does so.

    Other stores of the same plan may have those videos: there they would be twice.
    """
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {int(row[0]): row[2] for row in csv.reader(file) if len(row) > 2}


def planned(path: Path) -> Plan:
    """The shards so far; none where nothing was planned yet."""
    return read_plan(path) if path.exists() else []


def _with_shards(plan: Plan, costs: Mapping[str, float], *, videos_per_shard: int) -> Plan:
    num_shards = -(-len(costs) // videos_per_shard)
    return [*plan, *balance(costs, num_shards=num_shards)] if costs else plan


def read_plan(path: Path) -> Plan:
    """The shards of a plan, in order."""
    plan: Plan = []
    with path.open(newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        for shard, rows_of_shard in groupby(rows, key=itemgetter(0)):
            index = int(shard)
            if index == len(plan):
                plan.append([])
            plan[index] += [row[1] for row in rows_of_shard]
    return plan


def _write_plan(path: Path, plan: Plan, again: Mapping[int, str], lease: Lease) -> None:
    aside = path.with_suffix(f".{lease.token}.tmp")
    with aside.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["shard", "video_id"])
        for index, shard in enumerate(plan):
            store = [again[index]] if index in again else []
            writer.writerows([index, video_id, *store] for video_id in shard)
        file.flush()
        os.fsync(file.fileno())
    lease.check()
    aside.replace(path)
    fsync_folder(path.parent)
