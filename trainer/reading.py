"""How data is to be read, where its content does not tell: parameters that are not the recipe's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.errors import WrongInput
from trainer.recipe import Parameter

FORMATS = ("idx", "npz", "images", "tfrecord", "csv")
PARAMETERS = (
    Parameter("dataFormat", "detect", "what the files are", choices=("detect", *FORMATS)),
    Parameter("labelColumn", "label", "csv: the column to predict"),
    Parameter("categoricalColumns", "", "csv: columns, separated by commas, whose numbers are only names"),
    Parameter("ignoredColumns", "", "csv: columns, separated by commas, to leave out (an id, say)"),
    Parameter("imageSize", "", "images, tfrecord: what to scale to, as HEIGHTxWIDTH in pixels; as they are"),
    Parameter("imageChannels", 0, "images, tfrecord: 1 grey, 3 colour, 0 as they are", minimum=0, maximum=3),
)
_SIZE = re.compile(r"^([1-9][0-9]{0,4})(?:x([1-9][0-9]{0,4}))?$")


@dataclass(frozen=True)
class Reading:
    """What is said about the data.

    Attributes
    ----------
    given
        Names of the parameters that the user wrote.
    """

    data_format: str = "detect"
    label_column: str = "label"
    categorical_columns: tuple[str, ...] = ()
    ignored_columns: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = None
    image_channels: int = 0
    given: tuple[str, ...] = ()

    def check_meant_for(self, data_format: str, understood: tuple[str, ...]) -> None:
        """Raise `WrongInput` if something is said that means nothing for a format."""
        for name in self.given:
            if name != "dataFormat" and name not in understood:
                raise WrongInput(
                    f"parameter {name} is given, but means nothing for {data_format} data; remove it"
                )


def separated(parameters: Mapping[str, Any]) -> tuple[Reading, dict[str, Any]]:
    """Return what `parameters` say about the data, and the rest, which is the recipe's.

    Raises
    ------
    WrongInput
        If one about the data is ill-typed.
    """
    known = {parameter.name: parameter for parameter in PARAMETERS}
    rest = {name: value for name, value in parameters.items() if name not in known}
    given = tuple(name for name in known if name in parameters)
    values: dict[str, Any] = {
        name: each.value(_as_text(name, parameters[name])) if name in given else each.default
        for name, each in known.items()
    }
    if values["imageChannels"] == 2:
        raise WrongInput("parameter imageChannels is 2; 1 (grey) or 3 (colour) is expected")
    reading = Reading(
        data_format=values["dataFormat"],
        label_column=values["labelColumn"],
        categorical_columns=_columns(values["categoricalColumns"]),
        ignored_columns=_columns(values["ignoredColumns"]),
        image_size=_size(values["imageSize"]),
        image_channels=values["imageChannels"],
        given=given,
    )
    return reading, rest


def _as_text(name: str, given: Any) -> Any:
    if name.endswith("Columns") and isinstance(given, list) and all(isinstance(each, str) for each in given):
        return ",".join(given)
    if name == "imageSize" and isinstance(given, int | float) and not isinstance(given, bool):
        return f"{given:g}"
    return given


def _columns(given: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",") if name.strip())


def _size(given: str) -> tuple[int, int] | None:
    if not given:
        return None
    found = _SIZE.match(given)
    if not found or max(int(found[1]), int(found[2] or 1)) > 8192:
        raise WrongInput(
            f"parameter imageSize is {given!r}; HEIGHTxWIDTH in pixels is expected, such as 28x28"
        )
    return int(found[1]), int(found[2] or found[1])
