"""A process that may have little memory of its own, and what it had at most.

    python -m bench.trainer_memory LIMIT WHAT [ARGUMENT ...]

The limit is RLIMIT_DATA, in bytes: private memory that can be written, thread stacks among it; not files that are
mapped. WHAT is one of the names in `_WORK`: ours, or a control that holds everything at once. On standard output,
last, the most memory of its own (RssAnon, looked at a hundred times a second), in bytes.
"""

import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path


def train(data: str, model: str) -> None:
    """Train the image classifier on what lies in a folder."""
    from trainer.steps import train

    parameters = {
        "network": "dense",
        "hiddenUnits": 2,
        "epochs": 1,
        "augmentation": 0.0,
        "learningRate": 1e-4,
    }
    train.run(Path(data), Path(model), "trainer.recipes.image_classifier", parameters)


def read_whole(data: str) -> None:
    """Read all training images into one array."""
    import numpy as np

    from trainer import data as reader

    found, _ = reader.read(Path(data)).data_set()
    print(np.array(found.train.inputs).nbytes)


def upload(*files: str) -> None:
    """Upload files as the export step does."""
    from trainer.storage import place

    place("s3://bench/model/").upload({Path(file).name: Path(file) for file in files})


def download(key: str, folder: str) -> None:
    """Download, and unpack if it is an archive, as the download step does."""
    from trainer.steps import download

    download.run(f"s3://bench/{key}", Path(folder), None)


def put_whole(*files: str) -> None:
    """Upload files by reading each."""
    import boto3

    for file in files:
        boto3.client("s3").put_object(Bucket="bench", Key="whole", Body=Path(file).read_bytes())


def get_whole(key: str, folder: str) -> None:
    """Download an object by reading it."""
    import boto3

    content = boto3.client("s3").get_object(Bucket="bench", Key=key)["Body"].read()
    Path(folder).write_bytes(content)


_WORK: dict[str, Callable[..., None]] = {
    work.__name__: work for work in (train, read_whole, upload, download, put_whole, get_whole)
}


def limited(limit: int, what: str, *arguments: str) -> tuple[int | None, str]:
    """Return the most memory that WHAT had, in bytes, None if the limit or something else ended it; and its last words."""
    command = [sys.executable, "-m", "bench.trainer_memory", str(limit), what, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None, done.stderr.strip()[-300:]
    return int(done.stdout.split()[-1]), ""


def _watched(most: list[int], done: threading.Event) -> None:
    while not done.wait(0.01):
        most[0] = max(most[0], _own_memory())


def _own_memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell a process's own memory: /proc/self/status lacks RssAnon")


def main() -> None:
    """Do the work under its limit."""
    limit, what, *arguments = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (int(limit), int(limit)))
    most, done = [_own_memory()], threading.Event()
    watch = threading.Thread(target=_watched, args=(most, done))
    watch.start()
    try:
        _WORK[what](*arguments)
    finally:
        done.set()
        watch.join()
    print(max(most[0], _own_memory()))


if __name__ == "__main__":
    main()
