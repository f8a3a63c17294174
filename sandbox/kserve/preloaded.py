"""What the process that forks the pods' containers imports before the first one: see `sandbox.kserve.forks`."""

from __future__ import annotations

import gc
import os
import sys
import warnings

# Read when TensorFlow is imported, so before a container brings its own environment.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.argv[1:] = []  # kserve.model_server parses the command line when it is imported
warnings.simplefilter("ignore")

import kserve  # noqa: E402
import kserve.protocol.rest.server  # noqa: E402, F401
import tensorflow as tf  # noqa: E402, F401

import sandbox.kserve.model_server  # noqa: E402
import sandbox.kserve.storage  # noqa: E402, F401

gc.freeze()  # no collection looks at what is shared: a page that is written to is no longer shared
