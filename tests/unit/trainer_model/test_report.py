"""The page as text: nothing that runs or loads, nothing of a user's that is more than text."""

from html.parser import HTMLParser

import pytest

from tests.unit.trainer_model.states import HOSTILE, STATES, VERSION, long_names
from trainer.report import page

VOID = ("meta", "img")


class Elements(HTMLParser):
    """What a parser makes of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("state", list(STATES))
def test_a_page_is_well_formed_and_loads_and_runs_nothing(state: str) -> None:
    content = page.drawn(STATES[state](), VERSION)
    found = Elements(content)
    assert found.open == []
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(found.names)
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("href", "action")]
    assert all(
        value.startswith("data:image/png;base64,") for name, value in found.attributes if name == "src"
    )
    assert "url(http" not in content
    assert "@import" not in content


def test_what_users_wrote_is_only_text() -> None:
    found = Elements(page.drawn(long_names(), VERSION))
    assert HOSTILE in "".join(found.texts)
    assert found.names.count("style") == 1
    assert found.names.count("img") == 24


def test_no_incumbent_is_said() -> None:
    assert "No version serves yet" in page.drawn(STATES["no_incumbent"]())


def test_better_and_worse_are_said_in_words() -> None:
    for state in ("better", "worse"):
        content = page.drawn(STATES[state](), VERSION)
        assert f'<b class="{state}">{state}</b> than version 2' in content
        assert "Version 2, serving now" in content


def test_a_difference_that_chance_explains_is_no_difference() -> None:
    assert "not clearly different from version 2" in page.drawn(STATES["perfect"](), VERSION)


def test_an_incumbent_that_cannot_take_the_data_is_said() -> None:
    content = page.drawn(STATES["incumbent_that_cannot"](), VERSION)
    assert "cannot be evaluated on this data: the model takes inputs of the shape 8x8x1" in content
    assert "It cannot be compared with version 2" in content


def test_a_page_names_where_the_version_comes_from() -> None:
    content = page.drawn(STATES["better"](), VERSION)
    for said in (
        "Version 3",
        VERSION["uid"],
        VERSION["runId"],
        "registry.example/trainer:1",
        "s3://datasets/mnist/",
    ):
        assert str(said) in content
    assert "Where it comes from" in content


def test_many_classes_are_folded() -> None:
    assert "<summary>85 more classes</summary>" in page.drawn(STATES["hundred_classes"](), VERSION)


def test_half_a_letter_does_not_end_the_page() -> None:
    found = STATES["better"]()
    found["report"]["candidate"]["classes"][0]["name"] = "caf\udce9"
    page.drawn(found, VERSION).encode()


@pytest.mark.parametrize("evaluation", [{}, {"metrics": {}}, {"metrics": {"x": None}, "report": {}}])
def test_little_is_drawn_of_little(evaluation: dict) -> None:
    assert Elements(page.drawn(evaluation)).open == []
