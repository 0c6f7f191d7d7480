"""Probes of trained runs and of features without any: what `evaluate.py --task probe` does."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from extractors.corpus import ResizedVideos
from extractors.raw_corpus import RawCorpus
from extractors.raw_labelled import raw_clips
from jobs.probe_plan import (
    PROBES,
    benchmark_in,
    benchmarks_of,
    folders_of,
    nothing_probed_of,
    stores_for,
)
from mcn.data.clip_form import DEFAULT_FORM, ClipForm
from mcn.data.spectrograms import holds_spectrograms
from mcn.data.stores import Features, fingerprints_of
from mcn.evaluation.zero_shot import MOST_SPECTROGRAM_FRAMES
from mcn.modality import Modality
from mcn.models.trained import described_model
from mcn.models.xdc import Xdc
from mcn.probes.benchmark import ProbeBenchmark
from mcn.probes.footing import FeaturesAlone, ModelRows
from mcn.probes.known import known_probes, nothing_probed
from mcn.probes.labelled_clips import LabelledClips, stored_clips
from mcn.probes.probe import Subject, probe
from mcn.probes.results import ProbeResults
from mcn.probes.settings import INPUTS, WAYS, ProbeSettings
from mcn.report.probe_orders import WITHOUT_MODEL
from mcn.root import Root
from mcn.training.checkpoint import load_checkpoint
from mcn.training.run_folder import RunFolder


def probe_runs(
    root: Root, features: Features, runs: Sequence[RunFolder], settings: ProbeSettings
) -> list[ProbeResults]:
    """What is achieved by standing on each run.

    Raises:
        FileNotFoundError: There is no benchmark of classes.
    """
    benchmarks = benchmarks_of(root)
    probed = []
    for run in runs:
        reasons = {
            key: _why_not(run, benchmark, features, settings)
            for key, benchmark in benchmarks.items()
        }
        fitting = {key: part for key, part in benchmarks.items() if not reasons[key]}
        known = _still_tested(
            known_probes(run.path / PROBES, nothing_probed_of(run)),
            {key: part for key, part in benchmarks.items() if reasons[key]},
        )
        results = probe(_of_run(run, features, settings), fitting, settings) if fitting else known
        if done := {**known.benchmarks, **results.benchmarks}:
            probed.append(dataclasses.replace(results, benchmarks=done))
        for key, why in reasons.items():
            if why and key not in known.benchmarks:
                print(f"{run.path.name} {why} on {benchmarks[key].title}")
    return probed


def probe_features(
    root: Root, features: Features, runs: Sequence[RunFolder], settings: ProbeSettings
) -> list[ProbeResults]:
    """What is achieved by standing on the features alone, where any of these runs reads features.

    Raises:
        FileNotFoundError: There is no benchmark of classes, or none has features.
    """
    if all(run.corpus.exists() for run in runs):  # raw clips alone: there need be no features
        return []
    probed = []
    for key, benchmark in benchmarks_of(root).items():
        if why := _why_no_features(benchmark, features, settings):
            print(f"{benchmark.title} has no features: {why}")
            continue
        alone = _of_features(benchmark.folder, features, settings)
        probed.append(probe(alone, {key: benchmark}, settings))
    if not probed:
        raise FileNotFoundError(
            f"no benchmark of {root.benchmarks} has features: jobs/resize.py and "
            "jobs/extract.py make them"
        )
    return probed


def written_probes(root: Root, runs: Sequence[RunFolder]) -> list[ProbeResults]:
    """What earlier probes of these very checkpoints wrote down, of videos that are still tested."""
    benchmarks = {}
    for folder in folders_of(root):
        try:
            benchmarks[folder.name] = benchmark_in(folder)
        except ValueError as error:
            print(f"probes on {folder.name} are left out: {error}")
    found = [
        *(known_probes(run.path / PROBES, nothing_probed_of(run)) for run in runs),
        *(known_probes(b.folder / PROBES, _nothing_of_features()) for b in benchmarks.values()),
    ]
    tested = [_still_tested(results, benchmarks) for results in found]
    return [results for results in tested if results.benchmarks]


def _still_tested(results: ProbeResults, benchmarks: Mapping[str, ProbeBenchmark]) -> ProbeResults:
    """Those on these benchmarks, as far as their splits are what they were; says where not."""
    kept = {}
    for key, part in results.benchmarks.items():
        if key in benchmarks:
            if part.splits == nothing_probed(part.title, benchmarks[key].labelled).splits:
                kept[key] = part
            else:
                print(
                    f"{results.run}: its probes on {part.title} are of other splits and left out: "
                    "--task probe makes them again"
                )
    return dataclasses.replace(results, benchmarks=kept)


def _why_not(
    run: RunFolder, benchmark: ProbeBenchmark, features: Features, settings: ProbeSettings
) -> str:
    """Why a run cannot be probed on a benchmark; empty where it can."""
    if run.corpus.exists():
        try:
            rule = ResizedVideos.below(Root(benchmark.folder)).rule
        except FileNotFoundError as error:
            return f"cannot be probed ({error})"
        others = ["resized"] if RawCorpus.read(run.corpus).rule != rule else []
    elif why := _why_no_features(benchmark, features, settings):
        return f"cannot be probed ({why})"
    else:
        others = _other_features(run, benchmark, features, settings)
    if not others:
        return ""
    return (
        f"was trained on other features ({', '.join(others)}) and is left out: --runs "
        f"{run.path.name} and its own --video, --video-3d and --audio probe it"
    )


def _why_no_features(benchmark: ProbeBenchmark, features: Features, settings: ProbeSettings) -> str:
    """Why its stores cannot be opened; empty where they can."""
    try:
        for looks_at in settings.inputs(benchmark.labelled.modalities):
            fingerprints_of(stores_for(benchmark.folder, features, INPUTS[looks_at]))
    except FileNotFoundError as error:
        return str(error)
    return ""


def _other_features(
    run: RunFolder, benchmark: ProbeBenchmark, features: Features, settings: ProbeSettings
) -> list[str]:
    """What was not made for a benchmark as it was for training."""
    data: dict[str, str] = yaml.safe_load(run.config.read_text())["data"]
    differing = set()
    for looks_at in settings.inputs(benchmark.labelled.modalities):
        modalities = INPUTS[looks_at]
        found = fingerprints_of(stores_for(benchmark.folder, features, modalities))
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
        stores = stores_for(benchmark.folder, features, modalities)
        return stored_clips(stores, model.form, benchmark.labelled, modalities, settings)

    return Subject(
        nothing=nothing_probed_of(run),
        path=run.path / PROBES,
        ways=WAYS,
        clips=clips,
        footing=lambda modalities: ModelRows(copy.deepcopy(model), modalities),
    )


def _of_features(folder: Path, features: Features, settings: ProbeSettings) -> Subject:
    def clips(benchmark: ProbeBenchmark, modalities: tuple[Modality, ...]) -> LabelledClips:
        stores = stores_for(folder, features, modalities)
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
