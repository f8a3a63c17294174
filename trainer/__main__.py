"""The command line: one step of the pipeline, or of your shell.

Exit codes: 0 done; 2 wrong input, told in one sentence on stderr; 1 anything else.
"""

import argparse
import json
import os
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from trainer import packages
from trainer.errors import TrainerError, WrongInput, nearest, one_sentence, redacted

_ABOUT = """\
Trains a model and puts it where it can be served, in four steps. Each works by itself, on local folders as
well as on s3:// addresses, and may be repeated.

  download   data from a bucket or a folder into a folder, with its digest
  train      a recipe on that data: a TensorFlow SavedModel
  evaluate   the model, and the one serving now, on the same held-out data
  export     the model and its result to the place it is served from

A version that was exported is evaluated again by download, evaluate --model-uri, and

  record     that evaluation to a place beside the version, whose own result stays as it is
"""
_MORE = """\
examples:
  python -m trainer download --uri s3://datasets/mnist/ --output data
  python -m trainer train --data data --model model --entrypoint trainer.recipes.image_classifier \\
      --parameters '{"epochs": 5, "network": "dense"}'
  python -m trainer evaluate --data data --model model --entrypoint trainer.recipes.image_classifier \\
      --output metrics.json
  python -m trainer export --model model --evaluation metrics.json --data data --destination out/ \\
      --version 1 --uid me --run-id first
  python -m trainer evaluate --data data --model-uri out/model/ --entrypoint trainer.recipes.image_classifier \\
      --output again.json
  python -m trainer record --evaluation again.json --data data --destination out/evaluations/second/ \\
      --version 1 --uid me --run-id second --evaluates first

exit codes: 0 done; 2 wrong input (one sentence on stderr: what was found where, what to do); 1 anything else

S3 by environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL,
  AWS_DEFAULT_REGION;
  S3_VERIFY_SSL=0 trusts any certificate, S3_USE_VIRTUAL_BUCKET=1 puts the bucket into the host name,
  awsAnonymousCredential=true sends no credentials

a recipe is a Python module with train and evaluate: python -m pydoc trainer.recipe
"""
_FORMATS = """\
What is understood, seen from the files:
  IDX        MNIST's files (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-…), gzipped or not
  .npz       x_train, y_train, x_test, y_test, or images and labels
  images     a folder a class of PNG and JPEG, below train/ and test/ or not
  TFRecord   examples with image (PNG, JPEG) and label, as TensorFlow Datasets prepares them
  CSV        with a header and a column of labels; train.csv and test.csv, or one that is divided
The download step unpacks .tar.gz, .tar and .zip of any of these.

Whatever the recipe, --parameters may also say how to read:
  dataFormat          idx, npz, images, tfrecord or csv, where the files do not tell
  imageSize           images, TFRecord: scale all to HEIGHTxWIDTH, such as 28x28
  imageChannels       images, TFRecord: 1 grey, 3 colour; as they are
  labelColumn         CSV: the column to predict (label)
  categoricalColumns  CSV: columns whose numbers are only names, separated by commas
  ignoredColumns      CSV: columns to leave out, separated by commas
"""


def _object(text: str) -> dict[str, Any]:
    return dict(_json("--parameters", text, dict, 'a JSON object such as {"epochs": 5}'))


def _list(text: str) -> list[str]:
    found = _json("--packages", text, list, 'a JSON list of texts such as ["name==1.0"]')
    if not all(isinstance(each, str) for each in found):
        raise WrongInput(f'--packages {text!r} is not a JSON list of texts such as ["name==1.0"]')
    return list(found)


def _json(option: str, text: str, kind: type, wanted: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise WrongInput(f"{option} {text!r} is not {wanted}")
    return found


def _folder(text: str) -> Path:
    """Return a path on this machine: what a step writes, and what the step before wrote, are files here."""
    if "://" in text:
        raise WrongInput(
            f"{text} is an address where a path on this machine is meant; download and export move data"
        )
    return Path(text)


class _Parser(argparse.ArgumentParser):
    """A parser whose last words are made when somebody asks for help: they name what the recipes take."""

    more: Callable[[], str] = staticmethod(lambda: "")

    def error(self, message: str) -> Any:
        raise WrongInput(f"{self.prog}: {message}; see {self.prog} --help")

    def format_help(self) -> str:
        self.epilog = self.more()
        return super().format_help()

    def check_names(self, arguments: Sequence[str]) -> None:
        """Raise `WrongInput` with the nearest right name if an option is not known.

        argparse would name the one that is now missing instead.
        """
        known = [name for action in self._actions for name in action.option_strings]
        for given in (each.partition("=")[0] for each in arguments if each.startswith("--")):
            if not any(name.startswith(given) for name in known):
                near = nearest(given, known)
                raise WrongInput(
                    f"{self.prog}: there is no option {given}{near or f'; see {self.prog} --help'}"
                )


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    plain = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog="python -m trainer", description=_ABOUT, formatter_class=plain)
    parser.more = lambda: _MORE
    steps = parser.add_subparsers(title="steps", dest="step", required=True, metavar="STEP")
    parsers: dict[str, _Parser] = {}
    for name, (add, about, more) in _STEPS.items():
        parsers[name] = steps.add_parser(name, help=about, description=about, formatter_class=plain)
        parsers[name].more = more
        add(parsers[name])
    if arguments and arguments[0] in parsers:
        parsers[arguments[0]].check_names(arguments[1:])
    elif arguments and not arguments[0].startswith("-"):
        near = nearest(arguments[0], tuple(parsers)) or f"; there are {', '.join(parsers)}"
        raise WrongInput(f"there is no step {arguments[0]}{near}")
    return parser.parse_args(arguments)


def _about_data_and_recipes() -> str:
    from trainer.recipe import BUILT_IN, load

    found = [_FORMATS]
    for name in BUILT_IN:
        found.append(f"\n{name} takes:\n")
        for each in load(name).parameters or ():
            choices = f": {', '.join(each.choices)}" if each.choices else ""
            line = f"{each.description}{choices} ({each.default})"
            found.append(
                textwrap.fill(line, 110, initial_indent=f"  {each.name:<18}  ", subsequent_indent=" " * 22)
            )
            found.append("\n")
    return "".join(found)


def _add_download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--uri", required=True, help="s3://bucket/prefix/, s3://bucket/object, a folder or a file"
    )
    parser.add_argument(
        "--output", type=_folder, required=True, metavar="DIR", help="a new or an empty folder"
    )
    parser.add_argument(
        "--expect-digest", metavar="sha256:HEX", help="fail (DataChanged) if it is other data"
    )
    parser.set_defaults(run=_download)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        required=True,
        metavar="DIR",
        help="what the download step wrote, or data: a folder, or s3:// to fetch for this step alone",
    )
    parser.add_argument(
        "--model", type=_folder, required=True, metavar="DIR", help="a new or an empty folder"
    )
    _add_recipe(parser)
    parser.add_argument(
        "--retrain-token",
        metavar="TOKEN",
        help="recorded with the model; a new one makes a pipeline train again",
    )
    parser.set_defaults(run=_train)


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--entrypoint", required=True, metavar="MODULE", help="the recipe, an importable module"
    )
    parser.add_argument(
        "--parameters", type=_object, default={}, metavar="JSON", help="the recipe's, an object"
    )
    parser.add_argument(
        "--packages", type=_list, default=[], metavar="JSON", help="pip packages to add, a list"
    )


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", help="as for train; its test part is used")
    parser.add_argument("--evaluation-data", metavar="DIR", help="other data to evaluate on instead")
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", type=_folder, metavar="DIR", help="what the train step wrote")
    model.add_argument(
        "--model-uri", metavar="URI", help="or where a version's …/model/ lies, with its result.json above it"
    )
    parser.add_argument(
        "--result-digest", metavar="HEX", help="SHA-256 that this result.json must have; ModelChanged if not"
    )
    parser.add_argument("--output", type=_folder, required=True, metavar="FILE", help="the metrics, as JSON")
    parser.add_argument("--report", type=_folder, metavar="FILE", help="a page about it, as HTML")
    _add_recipe(parser)
    parser.add_argument("--incumbent-version", type=int, metavar="N", help="the version serving now")
    parser.add_argument("--incumbent-uri", metavar="URI", help="where its …/model/ lies")
    parser.set_defaults(run=_evaluate)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=_folder, required=True, metavar="DIR", help="what the train step wrote"
    )
    parser.add_argument(
        "--evaluation", type=_folder, required=True, metavar="FILE", help="the evaluate step's output"
    )
    parser.add_argument(
        "--data", type=_folder, required=True, metavar="DIR", help="for the record: its digest"
    )
    parser.add_argument("--evaluation-data", type=_folder, metavar="DIR", help="for the record: its digest")
    parser.add_argument("--destination", required=True, metavar="URI", help="a prefix of this attempt's own")
    parser.add_argument("--version", type=int, required=True, metavar="N", help="the model's version, from 1")
    parser.add_argument("--uid", required=True, help="whose version it is: the resource's uid")
    parser.add_argument("--run-id", required=True, metavar="ID", help="the run that made it")
    parser.add_argument("--image", help="for the record: the image this runs in")
    parser.add_argument(
        "--retrain-token", metavar="TOKEN", help="for the record: what asked for this training"
    )
    parser.add_argument(
        "--training-hash", metavar="HASH", help="for the record: what this training was made from"
    )
    parser.set_defaults(run=_export)


def _add_record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--evaluation", type=_folder, required=True, metavar="FILE", help="the evaluate step's output"
    )
    parser.add_argument("--data", type=_folder, metavar="DIR", help="for the record: its digest")
    parser.add_argument("--evaluation-data", type=_folder, metavar="DIR", help="for the record: its digest")
    parser.add_argument("--destination", required=True, metavar="URI", help="a prefix of this run's own")
    parser.add_argument("--version", type=int, required=True, metavar="N", help="the version evaluated")
    parser.add_argument("--uid", required=True, help="whose version it is: the resource's uid")
    parser.add_argument("--run-id", required=True, metavar="ID", help="the run that evaluated it")
    parser.add_argument("--evaluates", required=True, metavar="ID", help="the run that made it")
    parser.add_argument("--result-digest", metavar="HEX", help="for the record: SHA-256 of its result.json")
    parser.add_argument("--training-hash", metavar="HASH", help="for the record: what was asked for then")
    parser.set_defaults(run=_record)


_STEPS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str, Callable[[], str]]] = {
    "download": (_add_download, "Copy a data set and record its digest in DIR/.data.json.", str),
    "train": (_add_train, "Train a recipe and write its SavedModel.", _about_data_and_recipes),
    "evaluate": (
        _add_evaluate,
        "Measure a model on held-out data, and the one serving now.",
        _about_data_and_recipes,
    ),
    "export": (_add_export, "Upload a model, then its result.json, which makes it a version.", str),
    "record": (_add_record, "Write the evaluation of a version that exists already beside it.", str),
}


def _download(given: argparse.Namespace) -> None:
    from trainer.steps import download

    download.run(given.uri, given.output, given.expect_digest)


@contextmanager
def _at_hand(data: str | None) -> Iterator[Path | None]:
    """Yield a folder of data: the one that is given, or one that holds what lies at an s3:// address."""
    if data is None or "://" not in data:
        yield None if data is None else Path(data)
        return
    from trainer.steps import download

    with tempfile.TemporaryDirectory(prefix="trainer-data-") as folder:
        download.run(data, Path(folder), None)
        yield Path(folder)


def _train(given: argparse.Namespace) -> None:
    from trainer.steps import train

    train.check(given.entrypoint, given.parameters)
    with _at_hand(given.data) as data:
        assert data
        train.run(
            data,
            given.model,
            given.entrypoint,
            given.parameters,
            given.packages,
            given.retrain_token or None,
        )


def _evaluate(given: argparse.Namespace) -> None:
    from trainer.steps import evaluate

    incumbent = None
    if given.incumbent_uri:
        if given.incumbent_version is None:
            raise WrongInput("--incumbent-uri is given without --incumbent-version; give both or none")
        incumbent = evaluate.Incumbent(given.incumbent_version, given.incumbent_uri)
    if given.data is None and given.evaluation_data is None:
        raise WrongInput("there is no data to evaluate on; give --data or --evaluation-data")
    if given.result_digest and not given.model_uri:
        raise WrongInput("--result-digest is of a version's result.json; give it with --model-uri")
    version: AbstractContextManager[tuple[Path, Mapping[str, Any] | None]] = (
        evaluate.made_before(given.model_uri, given.result_digest or None)
        if given.model_uri
        else nullcontext((given.model, None))
    )
    with _at_hand(given.data) as data, _at_hand(given.evaluation_data) as other, version as (model, training):
        evaluate.run(
            data,
            model,
            given.entrypoint,
            given.output,
            other,
            given.parameters,
            incumbent,
            given.report,
            training,
        )


def _export(given: argparse.Namespace) -> None:
    from trainer.steps import export

    if given.version < 1:
        raise WrongInput(f"--version is {given.version}; versions are counted from 1")
    version = export.Version(
        given.version,
        given.uid,
        given.run_id,
        image=given.image or None,
        retrain_token=given.retrain_token or None,
        training_hash=given.training_hash or None,
    )
    export.run(given.model, given.evaluation, given.data, given.destination, version, given.evaluation_data)


def _record(given: argparse.Namespace) -> None:
    from trainer.steps import record

    if given.version < 1:
        raise WrongInput(f"--version is {given.version}; versions are counted from 1")
    evaluation = record.Evaluation(
        given.version,
        given.uid,
        given.run_id,
        given.evaluates,
        given.result_digest or None,
        given.training_hash or None,
    )
    record.run(given.evaluation, given.destination, evaluation, given.data, given.evaluation_data)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        given = _parsed(arguments)
        packages.enter(getattr(given, "packages", ()), arguments)
        given.run(given)
    except TrainerError as error:
        print(one_sentence(error, limit=2_000), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    except Exception as error:
        # Frames and source lines only: neither values of variables nor the environment.
        print(redacted("".join(traceback.format_exception(error))), file=sys.stderr, end="")
        return 1
    finally:
        packages.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
