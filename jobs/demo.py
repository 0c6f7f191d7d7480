"""The whole system on a small corpus made on the spot: `make demo`."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from extractors.demo.config import CorpusConfig
from extractors.demo.corpus import num_files, write_corpus
from extractors.extract_config import ExtractConfig
from extractors.words import train_word2vec
from jobs import evaluate, extract, resize, train
from jobs.command import run_command
from mcn.data.captions import read_captions
from mcn.data.stores import Features
from mcn.modality import MMV_SPACES, MmvSpace
from mcn.objectives import Stage
from mcn.probes.settings import ProbeSettings
from mcn.progress import Progress
from mcn.root import Root
from mcn.training.config import TrainConfig
from mcn.training.presets import DEMO, MMV
from mcn.training.xdc.config import DEMO as XDC_DEMO
from mcn.training.xdc.config import Method, XdcConfig
from slurm.launch import Target

BENCHMARKS = ("youcook2", "msrvtt", "ucf101")

# Fixed beforehand: the row and the seed that are trained once more with the captions of other
# videos.
CONTROL = Stage.AV_T


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Make the demo corpus and take it through every step; run it again to carry on."""

    corpus: OmitArgPrefixes[CorpusConfig] = field(default_factory=CorpusConfig)
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    backbone: str = "resnet152"
    """Image network of the video features, with random weights."""
    stages: tuple[Stage, ...] = tuple(Stage)
    """Rows of MCN in the table."""
    mmv_spaces: tuple[MmvSpace, ...] = MMV_SPACES
    """Rows of MMV, each of which trains all three modalities at once."""
    xdc_methods: tuple[Method, ...] = ("sdc", "xdc")
    """Rows of XDC, which are judged by classifiers alone."""
    mmv_epochs: int = 20
    """Passes over the videos in a row of MMV."""
    stage1_epochs: int = 20
    """Passes over the videos in the first stage of a row of MCN."""
    stage2_epochs: int = 10
    """Passes over the videos in the second stage of a row of MCN."""


def main(arguments: Arguments) -> None:
    """Corpus, resize, extract, train, evaluate, report."""
    root = Root.resolve(arguments.root)
    _claim(root, arguments.corpus)
    with Progress("make the corpus", total=num_files(arguments.corpus), unit="files") as progress:
        write_corpus(root.path, arguments.corpus, on_file=progress.advance)
    here = Target(cluster="debug")
    for benchmark in (None, *BENCHMARKS):
        resize.main(resize.Arguments(root=root.path, benchmark=benchmark, target=here))
    word_vectors = root.weights / "word2vec-captions.bin"
    if not word_vectors.exists():
        captions = read_captions(root.captions).values()
        texts = [text for video in captions for text in video.texts]
        train_word2vec(texts, word_vectors, seed=arguments.corpus.seed)
    for benchmark in (None, *BENCHMARKS):
        extract.main(
            extract.Arguments(
                root=root.path,
                benchmark=benchmark,
                extract=ExtractConfig(
                    backbone=arguments.backbone,
                    weights="random:0",
                    audio_weights="random:0",
                    word_vectors=word_vectors,
                ),
                videos_per_shard=32,
                target=here,
            )
        )
    features = Features(video=f"video-{arguments.backbone}")
    runs = _runs(arguments, Where(root.path, features, here))
    for run in runs:
        train.main(run)
    evaluate.main(
        evaluate.Arguments(
            features=features,
            task="both",
            probe=ProbeSettings(ways="frozen", modalities="video,audio"),
            root=root.path,
            runs=tuple(str(run.run) for run in runs),
        )
    )


@dataclass(frozen=True)
class Where:
    """What all runs are trained from, and where."""

    root: Path
    features: Features
    target: Target

    def trained(self, config: train.Config) -> train.Arguments[train.Config]:
        return train.Arguments(
            config=config,
            features=self.features,
            root=self.root,
            run=f"demo-{config.name}",
            target=self.target,
        )


def _runs(arguments: Arguments, where: Where) -> list[train.AnyArguments]:
    """The rows of the table, the control last."""
    epochs = {"stage1_epochs": arguments.stage1_epochs, "stage2_epochs": arguments.stage2_epochs}
    mcn = {**DEMO, **epochs}
    # Here what is said is said while it is done, and neighbouring captions tell of other things.
    told_once = {"candidates": 1, "lr": 1e-3}
    mmv = {**DEMO, **MMV, **told_once, "stage1_epochs": arguments.mmv_epochs, "stage2_epochs": 0}
    return [
        *(where.trained(TrainConfig(stage=stage, **mcn)) for stage in arguments.stages),
        *(
            where.trained(TrainConfig(stage=Stage.AVT, space=space, **mmv))
            for space in arguments.mmv_spaces
        ),
        *(where.trained(XdcConfig(method=method, **XDC_DEMO)) for method in arguments.xdc_methods),
        where.trained(TrainConfig(stage=CONTROL, control="shuffled-captions", **mcn)),
    ]


def _claim(root: Root, corpus: CorpusConfig) -> None:
    """Make sure that nothing but this demo lives below the root."""
    marker = root.path / "demo.json"
    wanted = vars(corpus)
    if marker.exists():
        if json.loads(marker.read_text()) != wanted:
            raise ValueError(
                f"{root.path} holds a demo of another size or seed: give another --root"
            )
        return
    if root.path.exists() and any(root.path.iterdir()):
        raise ValueError(
            f"{root.path} holds other data, and the demo does not mix with it: "
            "give it a folder of its own by --root"
        )
    root.path.mkdir(parents=True, exist_ok=True)
    marker.write_text(json.dumps(wanted, indent=2) + "\n")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
