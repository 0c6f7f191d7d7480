"""Probes of trained runs and of features without any: what `evaluate.py --task probe` does."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from extractors.corpus import ResizedVideos
from extractors.raw_corpus import RawCorpus
from extractors.raw_labelled import raw_clips
from mcn.data.benchmark_folder import TITLES, benchmark_folders
from mcn.data.clip_form import DEFAULT_FORM, ClipForm
from mcn.data.probe_folder import has_labels, read_labels
from mcn.data.spectrograms import holds_spectrograms
from mcn.data.stores import SOURCES, Features, Stores, fingerprints_of, open_stores
from mcn.evaluation.evaluate import nothing_evaluated
from mcn.evaluation.zero_shot import MOST_SPECTROGRAM_FRAMES
from mcn.modality import Modality
from mcn.models.trained import described_model
from mcn.models.xdc import Xdc
from mcn.probes.footing import FeaturesAlone, ModelRows
from mcn.probes.known import known_probes
from mcn.probes.labelled_clips import LabelledClips, stored_clips
from mcn.probes.probe import ProbeBenchmark, Subject, probe
from mcn.probes.results import ProbeResults
from mcn.probes.settings import INPUTS, WAYS, ProbeSettings
from mcn.report.probe_orders import WITHOUT_MODEL
from mcn.root import Root
from mcn.training.checkpoint import load_checkpoint
from mcn.training.run_folder import RunFolder

PROBES = "probe.json"


def probe_runs(
    root: Root, features: Features, runs: Sequence[RunFolder], settings: ProbeSettings
) -> list[ProbeResults]:
    """What is achieved by standing on each run, and on the features alone.

    Raises:
        FileNotFoundError: There is no benchmark of classes, or it has no features.
        ValueError: A class has too few training videos with features.
    """
    benchmarks = {
        folder.name: ProbeBenchmark(
            title=TITLES.get(folder.name, folder.name), folder=folder, labelled=read_labels(folder)
        )
        for folder in benchmark_folders(root)
        if has_labels(folder)
    }
    if not benchmarks:
        raise FileNotFoundError(
            f"{root.benchmarks} has no benchmark of classes: put UCF101, HMDB51 or ESC-50 there, "
            "each in a folder with its annotation"
        )
    probed = []
    for run in runs:
        others = _other_inputs(run, benchmarks, features, settings)
        if not others:
            probed.append(probe(_of_run(run, features, settings), benchmarks, settings))
        elif (known := known_probes(run.path / PROBES, _nothing_of(run))).benchmarks:
            probed.append(known)
        else:
            print(
                f"{run.path.name} was trained on other features ({', '.join(others)}) and is left "
                f"out: --runs {run.path.name} and its own --video, --video-3d and --audio probe it"
            )
    if all(run.corpus.exists() for run in runs):  # raw clips alone: there need be no features
        return probed
    alone = [
        probe(_of_features(benchmark.folder, features, settings), {key: benchmark}, settings)
        for key, benchmark in benchmarks.items()
    ]
    return [*probed, *alone]


def written_probes(root: Root, runs: Sequence[RunFolder]) -> list[ProbeResults]:
    """What earlier probes of these very checkpoints wrote down."""
    folders = [folder for folder in benchmark_folders(root) if has_labels(folder)]
    found = [
        *(known_probes(run.path / PROBES, _nothing_of(run)) for run in runs),
        *(known_probes(folder / PROBES, _nothing_of_features()) for folder in folders),
    ]
    return [results for results in found if results.benchmarks]


def _other_inputs(
    run: RunFolder,
    benchmarks: Mapping[str, ProbeBenchmark],
    features: Features,
    settings: ProbeSettings,
) -> list[str]:
    """What was not made for a benchmark as it was for training: features, or resized videos."""
    folders = [benchmark.folder for benchmark in benchmarks.values()]
    if run.corpus.exists():
        rule = RawCorpus.read(run.corpus).rule
        is_other = any(ResizedVideos.below(Root(folder)).rule != rule for folder in folders)
        return ["resized"] if is_other else []
    data: dict[str, str] = yaml.safe_load(run.config.read_text())["data"]
    differing = set()
    for benchmark in benchmarks.values():
        for looks_at in settings.inputs(benchmark.labelled.modalities):
            modalities = INPUTS[looks_at]
            found = fingerprints_of(_stores(benchmark.folder, features, modalities))
            trained_on = {s: d for s, d in data.items() if s.removesuffix("-3d") in modalities}
            differing |= {s for s in found | trained_on if found.get(s) != trained_on.get(s)}
    return sorted(differing)


def _of_run(run: RunFolder, features: Features, settings: ProbeSettings) -> Subject:
    """What reads raw clips reads those of a benchmark at the length that it was trained on."""
    checkpoint = load_checkpoint(run.final)
    model = described_model(checkpoint.meta, checkpoint.part("model")).eval()
    config = yaml.safe_load(run.config.read_text())["train"]

    def clips(benchmark: ProbeBenchmark, modalities: tuple[Modality, ...]) -> LabelledClips:
        if isinstance(model, Xdc) and model.pictures is not None:
            return raw_clips(
                Root(benchmark.folder),
                benchmark.labelled,
                modalities,
                model.pictures,
                clip_seconds=config["clip_seconds"],
                most_per_video=settings.clips_per_video,
            )
        stores = _stores(benchmark.folder, features, modalities)
        return stored_clips(stores, model.form, benchmark.labelled, modalities, settings)

    return Subject(
        nothing=_nothing_of(run),
        path=run.path / PROBES,
        ways=WAYS,
        clips=clips,
        footing=lambda modalities: ModelRows(copy.deepcopy(model), modalities),
    )


def _of_features(folder: Path, features: Features, settings: ProbeSettings) -> Subject:
    def clips(benchmark: ProbeBenchmark, modalities: tuple[Modality, ...]) -> LabelledClips:
        stores = _stores(folder, features, modalities)
        is_framed = "audio" in stores and holds_spectrograms(stores["audio"])
        form = ClipForm(spectrogram_frames=MOST_SPECTROGRAM_FRAMES) if is_framed else DEFAULT_FORM
        return stored_clips(stores, form, benchmark.labelled, modalities, settings)

    return Subject(
        nothing=_nothing_of_features(),
        path=folder / PROBES,
        ways=("frozen", "linear"),
        clips=clips,
        footing=FeaturesAlone,
    )


def _stores(folder: Path, features: Features, modalities: tuple[Modality, ...]) -> Stores:
    """Those of these modalities alone: there need be no others."""
    wanted = [source for source in SOURCES if source.removesuffix("-3d") in modalities]
    return open_stores(Root(folder).store, features, sources=wanted)


def _nothing_of(run: RunFolder) -> ProbeResults:
    what = nothing_evaluated(run)
    return ProbeResults(
        run=what.run,
        model=what.model,
        stage=what.stage,
        seed=what.seed,
        control=what.control,
        checkpoint_sha256=what.checkpoint_sha256,
        benchmarks={},
    )


def _nothing_of_features() -> ProbeResults:
    return ProbeResults(
        run="features",
        model=WITHOUT_MODEL,
        stage="alone",
        seed=0,
        control="none",
        checkpoint_sha256="",
        benchmarks={},
    )
