"""What there is to probe on, and what of it is done; imports no torch."""

from pathlib import Path

from mcn.data.benchmark_folder import TITLES, benchmark_folders
from mcn.data.probe_folder import has_labels, read_labels
from mcn.data.stores import SOURCES, Features, Stores, open_stores
from mcn.evaluation.nothing import nothing_evaluated
from mcn.modality import Modality
from mcn.probes.benchmark import ProbeBenchmark
from mcn.probes.known import is_complete, known_probes
from mcn.probes.results import ProbeResults
from mcn.probes.settings import INPUTS, ProbeSettings
from mcn.root import Root
from mcn.training.run_folder import RunFolder

PROBES = "probe.json"


def is_probed(root: Root, run: RunFolder, settings: ProbeSettings) -> bool:
    """Whether all that is asked for is written down for this very checkpoint.

    Nothing is opened for it: that features have changed since is seen by whoever probes.
    """
    known = known_probes(run.path / PROBES, nothing_probed_of(run)).benchmarks
    return all(
        is_complete(known.get(key), benchmark.labelled.modalities, settings)
        for key, benchmark in benchmarks_of(root).items()
    )


def check_features(root: Root, features: Features, settings: ProbeSettings) -> None:
    """Make sure that what probes read is there.

    Raises:
        FileNotFoundError: A benchmark of classes has no features yet.
    """
    for name, benchmark in benchmarks_of(root).items():
        for looks_at in settings.inputs(benchmark.labelled.modalities):
            try:
                stores_for(benchmark.folder, features, INPUTS[looks_at])
            except FileNotFoundError as error:
                raise FileNotFoundError(
                    f"{error}: jobs/extract.py --benchmark {name} makes its features; "
                    "--no-probes does without"
                ) from error


def folders_of(root: Root) -> list[Path]:
    """Of the benchmarks of classes."""
    return [folder for folder in benchmark_folders(root) if has_labels(folder)]


def benchmarks_of(root: Root) -> dict[str, ProbeBenchmark]:
    """The benchmarks of classes, by the names of their folders.

    Raises:
        FileNotFoundError: There is none.
    """
    found = {folder.name: benchmark_in(folder) for folder in folders_of(root)}
    if not found:
        raise FileNotFoundError(
            f"{root.benchmarks} has no benchmark of classes: put UCF101, HMDB51 or ESC-50 there, "
            "each in a folder with its annotation"
        )
    return found


def benchmark_in(folder: Path) -> ProbeBenchmark:
    """The benchmark of classes in a folder."""
    title = TITLES.get(folder.name, folder.name)
    return ProbeBenchmark(title=title, folder=folder, labelled=read_labels(folder))


def stores_for(folder: Path, features: Features, modalities: tuple[Modality, ...]) -> Stores:
    """Those of these modalities alone: there need be no others."""
    wanted = [source for source in SOURCES if source.removesuffix("-3d") in modalities]
    return open_stores(Root(folder).store, features, sources=wanted)


def nothing_probed_of(run: RunFolder) -> ProbeResults:
    """What a complete run is, without results."""
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
