"""Reading a folder of data: which format it is in is seen from its files, not from what anybody calls it."""

from pathlib import Path

from trainer.dataset import Parts
from trainer.errors import WrongInput
from trainer.formats import idx, npz

UNDERSTOOD = "MNIST's IDX files (train-images…, train-labels…, t10k-images…, t10k-labels…) and .npz"


def read(directory: Path) -> Parts:
    """Return the data set in `directory`.

    Raises
    ------
    WrongInput
        If there is none, or it is broken: what was found where.
    """
    files = _files(directory)
    if idx.recognised(files):
        return idx.read(directory, files)
    if npz.recognised(files):
        return npz.read(directory, files)
    shown = ", ".join(path.name for path in files[:3]) + (", …" if len(files) > 3 else "")
    raise WrongInput(
        f"{directory} holds no data set that is understood, only {shown}; understood are {UNDERSTOOD}"
    )


def _files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise WrongInput(f"{directory} is not a folder of data; give the download step's output")
    files = sorted(path for path in directory.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise WrongInput(f"{directory} is empty; understood are {UNDERSTOOD}")
    return files
