"""The page in a real browser, on a telephone's width and on a desk's: nothing sticks out, and plots show something.

One page holds the reports of all states in frames of both widths; it measures them and writes down what it found. Debian's
chromium is enough (apt-get install chromium); without it these tests are skipped.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.unit.trainer_model.states import STATES, VERSION
from trainer.report import page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WIDTHS = (400, 1_400)
HEIGHT = 6_000  # pixels a frame

MEASURE = """
const found = {};
for (const frame of document.querySelectorAll("iframe")) {
  const page = frame.contentDocument, root = page.documentElement, wide = frame.clientWidth;
  const out = [...page.body.querySelectorAll("*")].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width && !one.closest("svg *") && (box.right > wide + 1 || box.left < -1);
  });
  const texts = [...page.querySelectorAll("td, th, p, figcaption, li, summary, h1, h2, h3")].filter(
    one => one.scrollWidth > one.clientWidth + 1 && one.clientWidth);
  const drawn = [...page.querySelectorAll("svg text")].filter(one => {
    const box = one.getBoundingClientRect(), around = one.closest("svg").getBoundingClientRect();
    return box.right > around.right + 2 || box.left < around.left - 2 || box.bottom > around.bottom + 2;
  });
  found[frame.id] = {
    scrollWidth: root.scrollWidth, width: wide, height: root.scrollHeight,
    out: out.map(one => one.outerHTML.slice(0, 120)), texts: texts.map(one => one.outerHTML.slice(0, 120)),
    drawn: drawn.map(one => one.textContent),
    plots: [...page.querySelectorAll("svg.plot")].map(one => {
      const box = one.getBoundingClientRect();
      return [box.x, box.y, box.width, box.height];
    }),
    pictures: [...page.querySelectorAll("img")].map(one => one.naturalWidth),
  };
}
document.getElementById("found").textContent = JSON.stringify(found);
"""


def frames(states: list[str], widths: tuple[int, ...]) -> str:
    """Return a page with each state's report in a frame of each width, below each other."""
    parts = []
    for state in states:
        content = html.escape(page.drawn(STATES[state](), VERSION), quote=True)
        for width in widths:
            look = f"display:block;border:0;width:{width}px;height:{HEIGHT}px"
            parts.append(f'<iframe id="{state}-{width}" style="{look}" srcdoc="{content}"></iframe>')
    script = f"<script>addEventListener('load', () => {{{MEASURE}}})</script>"
    return f'<!doctype html><meta charset="utf-8"><body style="margin:0">{"".join(parts)}<pre id="found"></pre>{script}'


def chromium(folder: Path, *options: str) -> str:
    assert CHROMIUM
    command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}", *options, str(folder / "page.html")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=folder)
    return done.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("browser")
    (folder / "page.html").write_text(frames(list(STATES), WIDTHS))
    written = chromium(folder, "--window-size=1400,1000", "--dump-dom")
    found = re.search(r'<pre id="found">(.*?)</pre>', written, re.DOTALL)
    assert found
    return json.loads(html.unescape(found[1]))


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("state", list(STATES))
def test_nothing_sticks_out(state: str, width: int, measured: dict) -> None:
    found = measured[f"{state}-{width}"]
    assert found["width"] == width
    assert found["scrollWidth"] <= width
    assert found["out"] == []
    assert found["texts"] == []
    assert found["drawn"] == []


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_every_picture_and_plot_is_there(width: int, measured: dict) -> None:
    found = measured[f"better-{width}"]
    assert len(found["plots"]) == 6  # two learning curves, two matrices, ROC, calibration
    assert all(wide > 250 and high > 150 for _, _, wide, high in found["plots"])
    assert len(found["pictures"]) == 22
    assert all(side == 28 for side in found["pictures"])


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_plots_show_something(dark: bool, measured: dict, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "page.html").write_text(frames(["better"], WIDTHS))
    # A frame is dark where the page around it is: its own preference follows the system's, set here.
    system = ["--blink-settings=preferredColorScheme=0"] if dark else []
    size = f"--window-size={max(WIDTHS)},{HEIGHT * len(WIDTHS)}"
    chromium(tmp_path, size, "--screenshot=seen.png", *system)
    with Image.open(tmp_path / "seen.png") as picture:
        seen = np.asarray(picture.convert("L")).astype(float)
    for at, width in enumerate(WIDTHS):
        frame = seen[at * HEIGHT : (at + 1) * HEIGHT, :width]
        paper = frame[200, 3]
        assert paper < 60 if dark else paper > 200
        for x, y, wide, high in measured[f"better-{width}"]["plots"]:
            region = frame[round(y) : round(y + high), round(x) : round(x + wide)]
            assert region.std() > 8
            assert (np.abs(region - np.median(region)) > 40).mean() > 0.01
