"""All that decides the outcome of a run, and what only decides how it runs."""

from dataclasses import dataclass
from typing import Literal

from mcn.choices import AudioWindow, ClipDraws, EngineName, Precision
from mcn.data.clip_form import AudioPadding, ClipForm, VideoScale, WordPadding
from mcn.modality import MmvSpace
from mcn.objectives import Stage, terms_of

OnNonfinite = Literal["stop", "skip"]

ModelName = Literal["mcn", "mmv"]

AT_LEAST_ONE = (
    "batch_size",
    "clips_per_video",
    "stage1_epochs",
    "audio_frames",
    "clusters",
    "queue_size",
    "candidates",
)

ADDED_LATER = ("warmup_limit", "word_padding", "decoder_end", "queued_clips")
"""Options whose default is what all runs did before there was the option: a run that does not say
has it."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What to train. These fields are the identity of a run."""

    stage: Stage
    """Order of the two stages: AV_T trains audio and video, then adds text; AVT trains all three
    at once."""
    model: ModelName = "mcn"
    """mcn brings all modalities into one space by contrast, clustering and reconstruction; mmv
    compares video with audio by NCE, and video with text by MIL-NCE. xdc has options of its own:
    --model xdc --help."""
    space: MmvSpace = "fac"
    """Of mmv: fac compares video and audio in a fine space, and text in a coarse one that is
    reached through it; disjoint has two spaces that know nothing of each other; shared has one."""
    seed: int = 0
    """Decides initial weights, the order of videos and the clips drawn from them."""
    control: Literal["none", "shuffled-captions"] = "none"
    """shuffled-captions gives every video the captions of another one: a model that still scores
    above chance has learnt something else than what captions say."""
    batch_size: int = 128
    """Videos in a global batch, over all GPUs."""
    clips_per_video: int = 32
    """The most clips drawn from one video for a batch."""
    clip_draws: ClipDraws = "distinct"
    """distinct draws no clip of a video twice for a batch, so that short videos give fewer;
    repeated always draws as many, as published."""
    stage1_epochs: int = 20
    """Passes over the videos in the first stage."""
    stage2_epochs: int = 10
    """Passes over the videos in the second stage. AVT has one stage of both lengths together."""
    lr: float = 1e-4
    """Peak learning rate of Adam, for the global batch."""
    warmup_steps: int = 5000
    """Steps over which the learning rate rises; then it falls along a cosine to 0."""
    warmup_limit: Literal["tenth", "none"] = "tenth"
    """Whether it rises over a tenth of a stage at most, or over all those steps however short the
    stage is, as published."""
    embedding_dim: int = 2048
    """Dimensions of the joint space of mcn; those of mmv have the published 512 and 256."""
    reconstruction_dim: int = 1024
    """Hidden dimensions of the decoders."""
    min_clip_seconds: float = 10.0
    """A caption is grown by its neighbours until it lasts this long."""
    max_words: int = 20
    """Words of a clip that are read; the rest is cut off."""
    audio_window: AudioWindow = "clip"
    """What is heard of a clip: clip is all of it, like video and text; first-10s cuts it off after
    ten seconds; published moreover takes the sound from clips that begin with their file."""
    audio_encoder: Literal["pooled", "davenet", "resdavenet"] = "pooled"
    """What makes of sound what is gated: pooled takes the mean of stored features; a DAVEnet, of
    2018 or the residual one that MCN has, is trained on log-mel spectrograms (--audio
    audio-logmel)."""
    audio_weights: str = "random"
    """What a DAVEnet that is trained starts from: random, by the seed; or a published checkpoint
    of it, or of a model that holds it."""
    audio_frames: int = 2048
    """The most frames of 10 ms that such a DAVEnet hears of a clip, from its start: of longer clips
    it does not hear the end. Published is 1000, which most clips exceed."""
    audio_padding: AudioPadding = "silence"
    """What follows sound that is shorter: silence, which counts in no mean and no batch norm; or
    the loudest noise, which counts in both, as published."""
    word_padding: WordPadding = "left-out"
    """Of mcn: what a sentence of fewer than --max-words is filled up with is left out of the
    maximum over its words; or takes part in it, as published."""
    video_scale: VideoScale = "as-stored"
    """Whether the pooled features of a clip are taken as they are, or 2-D and 3-D ones are each
    brought to unit length, as published."""
    similarity: Literal["cosine", "product"] = "cosine"
    """How embeddings are compared: at unit length, or as they are, as published."""
    temperature: float = 0.1
    """Divides the similarities in the contrastive and the clustering loss; published for mcn is 1.
    With --model mmv it is 0.07 by default."""
    overlapping_clips: Literal["left-out", "negatives"] = "left-out"
    """Clips of one video that overlap in time: left out of each other's negatives in the
    contrastive loss, or among them, as published."""
    margin: float = 1e-3
    """Margin of the contrastive and the clustering loss."""
    contrastive_weight: float = 1.0
    """Weight of the sum of the contrastive terms."""
    nce_weight: float = 1.0
    """Of mmv: weight of the contrast between video and audio."""
    mil_nce_weight: float = 1.0
    """Of mmv: weight of the contrast between video and text."""
    candidates: int = 1
    """Of mmv: captions that may describe a clip, of which it is not said which one does: its own
    and those nearest to it in time. With --model mmv 4 by default."""
    cluster_weight: float = 1.0
    """Weight of the mean of the clustering terms."""
    reconstruction_weight: float = 1.0
    """Weight of the mean of the reconstruction terms."""
    term_weights: Literal["mean", "thirds"] = "mean"
    """The mean of clustering and of reconstruction terms is over the modalities that take part, or
    a third of their sum however many they are, as published."""
    reconstruction_target: Literal["detached", "attached"] = "detached"
    """Whether the loss moves only what reconstructs, or also the pooled words that are to be
    reconstructed, as published: they then learn to be small."""
    decoder_end: Literal["linear", "relu"] = "linear"
    """Whether decoders end in a linear map, or in a ReLU, as published: they then reach nothing
    below zero, where standardised features are half of the time."""
    clusters: int = 256
    """Clusters of the joint embeddings; clustering starts once the queue holds as many clips."""
    clustered: Literal["frozen", "all"] = "frozen"
    """Whose mean is clustered in the second stage: that of the two frozen modalities, so that the
    centroids are targets that stand still, or of all three, as the publication trains them."""
    queue_size: int = 40_960
    """Newest clips that are clustered."""
    queued_clips: Literal["all", "half"] = "all"
    """Whether all clips of a batch are queued; or every second one of each video, and the batch is
    clustered beside the queue, as published (of 32 clips in random order the first 16)."""
    refit_every_steps: int = 20
    """Steps between two fits of k-means; in between clips go to the nearest centroid."""
    kmeans_engine: EngineName = "torch"
    """What finds the nearest centroids in k-means; both find the same but for rounding."""
    statistics_batches: int = 32
    """Batches whose mean and variance bring the inputs to one scale; 0 takes the inputs as they
    are, as published."""
    precision: Precision = "fp32"
    """Of the encoders' and decoders' products. bf16 is faster and rounds to three digits; losses,
    clustering, weights and optimiser are fp32 with both."""

    def __post_init__(self) -> None:
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)} and must be at least 1")
        if self.queue_size < self.clusters:
            raise ValueError(
                f"a queue of {self.queue_size} clips never fills {self.clusters} clusters: "
                "give --queue-size at least the number of --clusters"
            )
        if self.temperature <= 0:
            raise ValueError(f"temperature is {self.temperature} and must be positive")
        if self.model == "mcn":
            self._check_mcn()
        else:
            self._check_mmv()
        if self.audio_encoder == "pooled" and self.audio_weights != "random":
            raise ValueError(
                f"--audio-weights {self.audio_weights}: no DAVEnet is trained that could start "
                "from them; give --audio-encoder resdavenet or davenet too"
            )

    def _check_mcn(self) -> None:
        weights = (self.nce_weight, self.mil_nce_weight)
        if self.space != "fac" or self.candidates != 1 or weights != (1.0, 1.0):
            raise ValueError(
                f"--space {self.space} --candidates {self.candidates} --nce-weight {weights[0]:g} "
                f"--mil-nce-weight {weights[1]:g}: MCN has one space, one caption a clip and other "
                "terms; give --model mmv too"
            )

    def _check_mmv(self) -> None:
        if self.audio_encoder != "pooled":
            raise ValueError(
                f"--audio-encoder {self.audio_encoder}: MMV is trained here on stored features; "
                "leave it out, or give --model mcn"
            )
        # Not there yet while defaults are put together.
        objectives = self.stage.value if isinstance(self.stage, Stage) else ()
        for objective in objectives:
            if not terms_of(self.model_name, objective):
                compared = " and ".join(objective.modalities)
                raise ValueError(
                    f"--stage {self.stage.name}: MMV never compares {compared}, so that this stage "
                    "has nothing to learn from; give AVT, AV_T or VT_A"
                )

    @property
    def model_name(self) -> str:
        """As tables call it: mcn, or mmv and its spaces."""
        return self.model if self.model == "mcn" else f"{self.model}-{self.space}"

    @property
    def name(self) -> str:
        """The run's folder name, unless another is given."""
        model = "" if self.model == "mcn" else f"{self.model_name}-"
        control = "" if self.control == "none" else f"-{self.control}"
        return f"{model}{self.stage.name}-seed{self.seed}{control}"

    @property
    def form(self) -> ClipForm:
        """What the model takes of clips."""
        return ClipForm(
            video=self.video_scale,
            spectrogram_frames=None if self.audio_encoder == "pooled" else self.audio_frames,
            audio_padding=self.audio_padding,
            word_padding=self.word_padding,
        )

    @property
    def epochs(self) -> tuple[int, ...]:
        """Epochs of each stage."""
        if len(self.stage.value) == 1:
            return (self.stage1_epochs + self.stage2_epochs,)
        return self.stage1_epochs, self.stage2_epochs


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """How a run is carried out; no part of its identity."""

    device: Literal["auto", "cuda", "cpu"] = "auto"
    """What each process trains on; auto is a GPU where torch sees one. Processes on GPUs speak by
    NCCL, those on processors by gloo."""
    loader_workers: int | None = None
    """Processes that read batches ahead, for each rank; 0 reads between the steps. By default one
    for each CPU of the rank but the one that trains, at most 4 but for raw clips, and no more
    than shared memory has room for."""
    checkpoint_every_minutes: float = 10.0
    """The most work that a kill can cost; each rank-0 step also looks at the clock."""
    checkpoint_every_steps: int | None = None
    """Save after so many steps as well."""
    on_nonfinite: OnNonfinite = "stop"
    """What to do at a step whose loss or gradient is not finite: stop there and say what it was,
    or leave the step out and count it. A run stopped so may be carried on with skip."""
    most_unread_percent: float = 1.0
    """Of all raw clips: where more cannot be read when they are clustered, xdc stops and says so.
    Those of fewer count as lacking."""
