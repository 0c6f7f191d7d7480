"""What a task of extraction does: one shard of every store, by one pass over each file.

Captions need no torch, which takes seconds to import, and it is not imported for them alone.
"""

from extractors.corpus import captions_of
from extractors.extract import extract_shard
from extractors.extract_config import TEXT_STORE, ExtractConfig
from extractors.room import full_disk_explained
from extractors.sandbox import SandboxLimits
from extractors.text_records import TextRecords
from extractors.words import Vocabulary, find_word_vectors, word_table
from jobs.extract_plan import ModalityPlan, is_made, shard_path
from jobs.shards import shard_under_way
from mcn.root import Root


def extract_shards(
    index: int,
    root: Root,
    place: Root,
    config: ExtractConfig,
    *,
    num_gpus: int,
    decoders: int | None,
    limits: SandboxLimits,
) -> None:
    """Make one shard of every store; a video counts once for each of them.

    Args:
        index: The shard.
        root: Where weights are.
        place: Where videos and stores are.
        config: What is made.
        num_gpus: That the task was to have.
        decoders: Files decoded at once; by default what suits the machine.
        limits: What a file may cost.

    Raises:
        ValueError: torch sees no GPU where there was to be one.
    """
    if num_gpus:
        from jobs.extract_media import check_gpu

        check_gpu(num_gpus)
    plans = {modality: ModalityPlan.read(place, modality) for modality in config.modalities}
    shards_of = {store: plans[m].of_store(store) for store, m in config.stores.items()}
    planned = {store: shards[index] for store, shards in shards_of.items() if index in shards}
    label = f"extract {place.path.name}, shard {index}"
    with (
        full_disk_explained(place.store),
        shard_under_way(label, sum(map(len, planned.values()))) as (progress, stop),
    ):
        to_make = {}
        for store, video_ids in planned.items():
            path = shard_path(index, store, place)
            if is_made(path):
                progress.skip(len(video_ids))
            else:
                to_make[store] = path
        of_media = [store for store in to_make if store != TEXT_STORE]
        if of_media:
            from jobs.extract_media import fill_from_media, media_source

            fill_from_media(
                [to_make[store] for store in of_media],
                [planned[store] for store in of_media],
                [media_source(store, root, place, config) for store in of_media],
                limits=limits,
                decoders=decoders,
                progress=progress,
                stop=stop,
            )
        if TEXT_STORE in to_make:
            vectors = find_word_vectors(config.word_vectors, root.weights)
            words = Vocabulary.of(word_table(vectors, place.store))
            source = TextRecords(captions_of(place), words)
            video_ids = planned[TEXT_STORE]
            extract_shard(to_make[TEXT_STORE], video_ids, source, progress=progress, stop=stop)


def prepare(root: Root, place: Root, config: ExtractConfig) -> None:
    """Miss what is missing now, and make what all tasks share once, not in each of them."""
    for store in config.stores:
        if store == TEXT_STORE:
            word_table(find_word_vectors(config.word_vectors, root.weights), place.store)
        else:
            from jobs.extract_media import media_source

            media_source(store, root, place, config)
