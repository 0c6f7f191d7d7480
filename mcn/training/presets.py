"""Where runs are to differ from the defaults, by name: what to ask for at once."""

from typing import Any

# Where the defaults of a model are not those of MCN. Four candidates are
# those of MIL-NCE (Miech et al., 2020).
# Command: python jobs/train.py --model mmv --stage AVT --gpus 4
# Wall time: not measured on the whole corpus.
MMV: dict[str, Any] = {"model": "mmv", "temperature": 0.07, "candidates": 4}

MODELS: dict[str, dict[str, Any]] = {"mcn": {}, "mmv": MMV}

# What the publication trained with (Chen et al., 2021), where it differs from the defaults, which
# are the user's: one stage of 30 epochs over three modalities in 6144 dimensions.
# Command: python jobs/train.py --preset paper --stage AVT --gpus 4
# Wall time: days on 4 GPUs.  Published: YouCook2 R@1 18.1, MSR-VTT R@1 10.5 (pre-trained
# features, DAVEnet trained online).
PAPER: dict[str, Any] = {"embedding_dim": 6144}

# What the publication's code does, defects included: 50 times each reconstruction term is a weight
# of 150 over thirds. For comparison, never for use. On stored features of DAVEnet without the last
# three flags.
# It still differs from the published code in this:
# - words of a grown window are read in time order, not in the order in which it grew, and looked up
#   in small letters where they are unknown as written;
# - the rows of a clip are those that overlap it, and not the next one too where it ends with a row;
# - a clip without video, sound or known words is left out of their terms, and no clip of zeros;
# - of 32 clips of a video every second one in time is queued, not 16 in random order; the queue is
#   clustered from the first step, not once it is full; centroids survive the end of an epoch;
# - k-means leaves no cluster empty, and begins from rows far apart;
# - batch norms of DAVEnet are over the clips of all GPUs, not of each by itself;
# - fp32 or bf16 in the place of fp16, steps that are not finite are left out or stop the run, and
#   evaluation in between never leaves the model in evaluation mode.
# Command: python jobs/train.py --preset published --stage AVT --gpus 4 --audio-encoder resdavenet
#              --audio audio-logmel --video-3d NAME
# Wall time: that of `paper`.  Result: not measured on the whole corpus.
PUBLISHED: dict[str, Any] = {
    **PAPER,
    "clip_draws": "repeated",
    "audio_window": "published",
    "audio_frames": 1000,
    "audio_padding": "published",
    "video_scale": "unit-length",
    "similarity": "product",
    "temperature": 1.0,
    "overlapping_clips": "negatives",
    "term_weights": "thirds",
    "reconstruction_weight": 150.0,
    "reconstruction_target": "attached",
    "decoder_end": "relu",
    "clustered": "all",
    "queued_clips": "half",
    "warmup_limit": "none",
    "word_padding": "published",
    "statistics_batches": 0,
}

# For a corpus of dozens of videos, not millions: batches of about 50 clips, each of one caption,
# in fewer dimensions, which give the same recall there in a third of the time.
# Command: make demo.  Wall time: half a minute a row on 2 cores.  Result: see the report it writes.
DEMO: dict[str, Any] = {
    "batch_size": 8,
    "clips_per_video": 8,
    "min_clip_seconds": 1.0,
    "embedding_dim": 1024,
    "reconstruction_dim": 512,
    "clusters": 32,
    "queue_size": 512,
}

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": PAPER,
    "published": PUBLISHED,
    "demo": DEMO,
}
