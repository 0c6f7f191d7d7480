"""Where and with what was measured, since a number without it says nothing."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = (
    "av",
    "decord",
    "fast-pytorch-kmeans",
    "h5py",
    "imageio-ffmpeg",
    "mosaicml-streaming",
    "numpy",
    "scikit-learn",
    "torch",
    "torchcodec",
    "webdataset",
    "zarr",
)


def describe_machine() -> dict[str, str]:
    """Processor, cores, memory, GPU, system, and how busy the machine was to begin with."""
    load = os.getloadavg()
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{load[0]:.1f} over 1 minute, {load[1]:.1f} over 5",
    }


def installed_versions() -> dict[str, str]:
    """Versions of Python and of all packages that are compared or compare."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _field(path: str, name: str) -> str:
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    values = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(values, "")
