"""A report of real evaluations, looked at in headless Chromium."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
]
WIDTH, HEIGHT = 900, 1800


def hantei(*arguments: str) -> str:
    command = [sys.executable, "-m", "hantei_cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def browse(page: Path, profile: Path, *options: str) -> str:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program is not None, "no Chromium or Chrome on PATH: hack/lab browser installs one"
    window = [f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}"]
    environment = {name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"}
    done = subprocess.run(
        [program, *QUIET, *window, *options, page.as_uri()],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report about two checkpoints of one training, the later one compared with the earlier one."""
    root = tmp_path_factory.mktemp("report")
    fixtures = Path(__file__).parents[1] / "fixtures" / "keisei"
    for step in (10000, 20000):
        play = f"--suite shogi --opponent-type random --num-games 8 --max-moves 150 --training-step {step}".split()
        checkpoint = str(fixtures / f"checkpoint_ts{step}.pth")
        hantei("evaluate", "--checkpoint", checkpoint, *play, "--output-dir", str(root / f"step-{step}"))
    file = root / "report.html"
    first, last = (str(root / f"step-{step}") for step in (10000, 20000))
    hantei("report", first, last, "--baseline", first, "-o", str(file))
    return file


def test_page_is_one_file_that_fetches_nothing_and_runs_nothing(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|javascript:", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}


def test_browser_shows_every_part_of_the_report(page: Path, tmp_path: Path) -> None:
    shown = browse(page, tmp_path, "--dump-dom")
    for heading in ("Metrics", "score over training", "Cross table", "Length in plies", "How they ended"):
        assert f"<h2>{heading}</h2>" in shown
    assert "Changed against the baseline" in shown
    assert shown.count("<svg") >= 4
    assert "<circle" in shown


def test_picture_of_the_page_has_ink_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    shot = tmp_path / "report.png"
    browse(page, tmp_path / "profile", f"--screenshot={shot}")
    with Image.open(shot) as image:
        assert image.size == (WIDTH, HEIGHT)
        grey = image.convert("L")
        for band in range(6):
            low, high = grey.crop((0, band * HEIGHT // 6, WIDTH, (band + 1) * HEIGHT // 6)).getextrema()
            assert high - low > 100, f"band {band} of the page is blank"
        assert grey.crop((WIDTH - 15, 0, WIDTH, HEIGHT)).getextrema()[0] > 240, "something runs over the right edge"
