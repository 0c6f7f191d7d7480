"""Whether the distribution's packages are there, and what to install where they are not."""

import os
import shutil
from pathlib import Path

PACKAGES = {
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "sbatch": "slurm-wlm",
    "munged": "munge",
    "cc": "gcc libc6-dev",
}
# mariadb-server would start a database for the whole machine, its core does not.
ACCOUNTING_PACKAGES = {
    "slurmdbd": "slurmdbd",
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "my_print_defaults": "mariadb-client-core",
}
DATABASE_PLUGIN = "accounting_storage_mysql.so"
PLUGIN_FOLDERS = ("/usr/lib/*-linux-gnu/slurm-wlm", "/usr/lib*/slurm", "/usr/local/lib/slurm")


class MissingPackagesError(Exception):
    """Programs that a testbed needs are not installed; the message says how to get them."""


def check_packages(*, accounting: bool) -> None:
    """See to it that everything a testbed starts is installed.

    Raises:
        MissingPackagesError: Something is not, with the line for apt-get.
    """
    needed = PACKAGES | (ACCOUNTING_PACKAGES if accounting else {})
    missing = {name: package for name, package in needed.items() if _find(name) is None}
    if accounting and not any((path / DATABASE_PLUGIN).exists() for path in _plugin_folders()):
        missing[DATABASE_PLUGIN] = "slurm-wlm-mysql-plugin"
    if missing:
        raise MissingPackagesError(
            f"a SLURM of one's own needs {', '.join(missing)}, not installed here; on Debian: "
            f"apt-get install --no-install-recommends {' '.join(dict.fromkeys(missing.values()))}"
        )


def program(name: str) -> str:
    """Path of an installed program.

    Raises:
        MissingPackagesError: It is not installed.
    """
    path = _find(name)
    if path is None:
        package = (PACKAGES | ACCOUNTING_PACKAGES)[name]
        raise MissingPackagesError(f"{name} is not installed; apt-get install {package}")
    return path


def plugin_folder() -> Path:
    """Folder of the plugins that SLURM's packages brought.

    Raises:
        MissingPackagesError: There is none.
    """
    for path in _plugin_folders():
        return path
    raise MissingPackagesError(f"no plugins of SLURM in {', '.join(PLUGIN_FOLDERS)}")


def _plugin_folders() -> list[Path]:
    return [
        path.parent
        for pattern in PLUGIN_FOLDERS
        for path in Path("/").glob(f"{pattern.removeprefix('/')}/task_none.so")
    ]


def _find(name: str) -> str | None:
    # Daemons are in folders that only root's PATH names.
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
