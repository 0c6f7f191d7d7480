"""Features that exist into the store: what `jobs/store.py import` does."""

import re
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from extractors.plan import extend_plan
from mcn.modality import MODALITIES
from mcn.progress import Progress
from mcn.root import Root
from mcn.store.exchange.array_folder import find_arrays
from mcn.store.exchange.exported import ExportFolder, import_exported_shard
from mcn.store.exchange.importing import ArrayFormat, import_shard
from mcn.store.layout import SEALED_SUFFIX
from mcn.store.summary import shard_files, summarise
from mcn.store.upkeep.merge import WORKSHOP
from mcn.store.upkeep.merged import is_merged
from mcn.store.word_table import WORDS, WordTable, copy_word_table

RESERVED = {*MODALITIES, "plans", "ledger", WORDS, WORKSHOP}
"""Names below store/ that are in use: plans of these modalities are those of extraction."""


@dataclass(frozen=True, kw_only=True)
class Import:
    """Take in features that exist as one .npy or .npz a video, or an export; again to carry on."""

    folder: Positional[Path]
    """Where the files are, at any depth."""
    store: str
    """Folder to make in the store, such as video-howto100m."""
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    benchmark: str | None = None
    """Import features of this benchmark instead of the training videos."""
    suffix: str = ""
    """What follows the id in file names: _2d, _3d, _spec."""
    extractor: str | None = None
    """What made the features, as far as you know; exports know it themselves, as with the next."""
    dim: int | None = None
    """Width of a row; files of another width are recorded as failed."""
    rows_per_second: float | None = None
    """Published: 1 for 2-D features, 1.5 for 3-D, 100 for log-mel spectrograms."""
    key: str | None = None
    """Array of .npz files that hold more than one."""
    transposed: bool = False
    """Files hold (dim, rows), as published log-mel spectrograms do."""
    videos_per_shard: int = 1000
    """Mean number of videos in a shard."""


def import_features(arguments: Import) -> None:
    """Plan what is new, and make the shards that are not sealed."""
    root = Root.resolve(arguments.root)
    place = root.benchmark(arguments.benchmark) if arguments.benchmark else root
    if arguments.store in RESERVED or not re.fullmatch(r"\w[\w.+-]*", arguments.store):
        raise ValueError(f"--store {arguments.store}: give one name, such as video-howto100m")
    store = place.store / arguments.store
    export = ExportFolder.read(arguments.folder)
    if export is not None:
        shards = export.shards()
        if export.fingerprint.row_type == "int32":
            copy_word_table(WordTable.below(export.path, export.fingerprint), place.store)
        with Progress("import", total=len(shards), unit="shards") as progress:
            for shard in shards:
                import_exported_shard(store / f"{shard.stem}{SEALED_SUFFIX}", export, shard)
                progress.advance()
    else:
        _import_arrays(arguments, place, store)
    summary = summarise(shard_files(store))
    print(f"{store}: {summary.done:,} videos, and {summary.failed:,} whose files are not usable")


def _import_arrays(arguments: Import, place: Root, store: Path) -> None:
    """Shards of files from elsewhere, by a plan of their own."""
    extractor, dim, rate = arguments.extractor, arguments.dim, arguments.rows_per_second
    if extractor is None or dim is None or rate is None:
        raise ValueError(
            f"{arguments.folder} does not say what made it; give --extractor, --dim and "
            "--rows-per-second"
        )
    array_format = ArrayFormat(
        extractor=extractor,
        dim=dim,
        rows_per_second=rate,
        key=arguments.key,
        is_transposed=arguments.transposed,
    )
    arrays = find_arrays(arguments.folder, arguments.suffix)
    for path in arrays.unnamed:
        print(f"left out: {str(path)!r}, whose name leaves no id that can be stored")
    plan = extend_plan(
        place.plans / f"{arguments.store}.csv",
        arrays.num_bytes(),
        videos_per_shard=arguments.videos_per_shard,
    )
    with Progress("import", total=sum(map(len, plan)), unit="videos") as progress:
        for index, video_ids in enumerate(plan):
            path = store / f"{index:05d}{SEALED_SUFFIX}"
            if is_merged(path):
                progress.skip(len(video_ids))
            else:
                import_shard(path, video_ids, arrays, array_format, progress=progress)
