"""TensorFlow, imported where it is first used (2.4 s), and without its start-up notes on stderr.

The notes would stand where a step's one sentence about wrong input should stand alone.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def tensorflow() -> Any:
    """Return the tensorflow module; raise what its import raises, with its notes."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with _stderr_held_back():
            import tensorflow as tf

            tf.constant(0)  # starts the runtime, which has notes of its own
    import tensorflow as tf

    return tf


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    # TensorFlow's C++ writes to the file descriptor, not to sys.stderr.
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
