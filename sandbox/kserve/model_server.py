"""One model behind KServe's own Python server, on a loopback port.

``python -m sandbox.kserve.model_server NAME FOLDER PORT_FILE`` loads the highest numbered folder below ``FOLDER``
as a TensorFlow SavedModel, serves its ``serving_default`` under the V1 protocol and says its port in ``PORT_FILE``.
A process of its own, since a model may crash its server; it is forked from one that has imported TensorFlow.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.kserve.versions import NoVersionError, newest_version


def columns(instances: list[Any], inputs: dict[str, Any]) -> dict[str, list[Any]]:
    """Instances (values, or objects by input name) as one list per input, as the V1 protocol has them.

    Raises
    ------
    ValueError
        Instances that do not name every input, or bare values for a model of several inputs.
    """
    if not isinstance(instances, list) or not instances:
        raise ValueError('"instances" has to be a list that is not empty')
    if all(isinstance(one, dict) and set(one) == set(inputs) for one in instances):
        return {name: [one[name] for one in instances] for name in inputs}
    if len(inputs) == 1:
        return {next(iter(inputs)): instances}
    raise ValueError(f"every instance has to be an object with {sorted(inputs)}")


def rows(outputs: dict[str, list[Any]]) -> list[Any]:
    """One prediction an instance: bare where the model has one output, an object by output name else."""
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    return [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]


def _saved_model(name: str, folder: Path) -> Any:
    import tensorflow as tf
    from kserve import Model
    from kserve.errors import InvalidInput

    class SavedModel(Model):  # type: ignore[misc]
        def load(self) -> bool:
            self.loaded = tf.saved_model.load(str(folder))
            self.signature = self.loaded.signatures["serving_default"]
            self.inputs = self.signature.structured_input_signature[1]
            self.ready = True
            return True

        def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
            try:
                found = columns(payload.get("instances"), self.inputs)
                tensors = {
                    key: tf.constant(value, dtype=self.inputs[key].dtype) for key, value in found.items()
                }
                outputs = self.signature(**tensors)
            except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
                raise InvalidInput(f"the instances do not fit the model: {error}") from error
            return {"predictions": rows({key: value.numpy().tolist() for key, value in outputs.items()})}

    return SavedModel(name)


def _listener(port_file: Path) -> socket.socket:
    """A bound socket that does not listen yet: its port is known, and refuses while the model loads."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    whole = port_file.with_suffix(".new")
    whole.write_text(str(listener.getsockname()[1]))
    whole.replace(port_file)
    return listener


def serve(name: str, folder: Path, port_file: Path) -> None:
    """Load and serve until SIGTERM.

    ``ModelServer.start`` listens on all interfaces and cannot be told otherwise: its REST server gets our
    socket.
    """
    listener = _listener(port_file)
    version = newest_version(folder)
    from kserve import ModelServer
    from kserve.protocol.rest.server import RESTServer

    logging.getLogger("kserve").setLevel(logging.WARNING)
    model = _saved_model(name, version)
    model.load()
    server = ModelServer(enable_grpc=False, workers=1)
    server.register_model(model)
    port = listener.getsockname()[1]
    rest = RESTServer(
        "kserve.model_server:app", server.dataplane, server.model_repository_extension, port, grace_period=5
    )
    rest.run(sockets=[listener])


def main(arguments: Sequence[str]) -> int:
    name, folder, port_file = arguments
    sys.argv[1:] = []  # kserve.model_server parses the command line when it is imported
    warnings.simplefilter("ignore")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    try:
        serve(name, Path(folder), Path(port_file))
    except NoVersionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
