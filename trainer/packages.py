"""Extra pip packages for a step, without touching what the image holds.

They go into a virtual environment of their own, in the temporary folder, which sees the present packages too;
then the step starts again under that environment's Python. So a read-only image and a user without rights
will do. pip's own settings (PIP_INDEX_URL, PIP_NO_INDEX, pip.conf, …) hold as everywhere.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from trainer.errors import WrongInput, redacted
from trainer.progress import say

_PRESENT = "TRAINER_PACKAGES_FOLDER"  # set for the restarted step: the environment it runs in


def enter(packages: Sequence[str], arguments: Sequence[str]) -> None:
    """Install `packages` and start ``python -m trainer`` with `arguments` anew; return if that has happened
    already.

    Raises
    ------
    WrongInput
        If pip cannot install them.
    """
    if not packages or os.environ.get(_PRESENT):
        return
    for package in packages:
        if package.startswith("-") or not package.strip():
            raise WrongInput(
                f"package {package!r} is not a requirement like name==1.0; set pip's options by PIP_…"
            )
    folder = Path(tempfile.mkdtemp(prefix="trainer-packages-"))
    try:
        python = _environment(folder)
        say(f"installing {redacted(' '.join(packages))}")
        _install(python, packages)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    sys.stdout.flush()
    os.execve(python, [str(python), "-P", "-m", "trainer", *arguments], {**os.environ, _PRESENT: str(folder)})  # noqa: S606


def leave() -> None:
    """Remove the environment that this process was started in, if it was."""
    if folder := os.environ.get(_PRESENT):
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path) -> Path:
    venv.EnvBuilder(system_site_packages=True, symlinks=True, with_pip=False).create(folder)
    packages = sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
    # The present packages may themselves lie in a virtual environment, which system_site_packages passes
    # over. And addsitedir, unlike a plain line, also honours the .pth files there (editable installations).
    seen = [path for path in dict.fromkeys([*sys.path, str(Path(__file__).parents[1])]) if _is_library(path)]
    lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in seen)
    Path(packages, "present.pth").write_text(lines)
    return folder / "bin" / "python"


def _is_library(path: str) -> bool:
    standard = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return Path(path).is_dir() and path not in standard and Path(path).name != "lib-dynload"


def _install(python: Path, packages: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    command += [
        "install",
        "--no-input",
        "--quiet",
        "--progress-bar=off",
        "--no-warn-script-location",
        *packages,
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        why = (
            lines[-1].removeprefix("ERROR: ")
            if lines
            else (done.stderr.strip().splitlines() or ["no reason"])[-1]
        )
        raise WrongInput(f"packages: pip could not install {redacted(', '.join(packages))}: {redacted(why)}")
