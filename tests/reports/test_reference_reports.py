"""The committed reports: whole, in step with their predictions, and sound in a browser."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from browser import check_page
from genre_utils.evaluation import study_results
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder
from study_runs import ROOT

STUDIES = ("demo", "gtzan-mel")
PAGES = [path for name in STUDIES for path in sorted((ROOT / "reports" / name).glob("*.html"))]


@pytest.mark.parametrize("name", STUDIES)
def test_the_index_leads_to_every_page_and_there_is_no_other(name):
    study = ROOT / "reports" / name
    index = (study / "index.html").read_text("utf-8")
    linked = set(re.findall(r'href="(\d\d_\w+\.html|appendix\.html)', index))
    assert linked == {path.name for path in study.glob("*.html")} - {"index.html"}
    assert len(linked) >= 6


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_page_stands_up_in_a_browser(page, path):
    check_page(page, path, synthetic=path.parent.name == "demo")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_nothing_in_a_figure_reaches_its_edge(path):
    figures = re.findall(r'src="data:image/webp;base64,([^"]+)"', path.read_text("utf-8"))
    assert figures or path.stem == "index"
    for number, content in enumerate(figures, 1):
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("L"))
        edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert edge.min() > 190, f"image {number} is cut off"


def same(one, other):
    """Whether two JSON values agree, numbers but for how a processor rounds."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return (
        one == pytest.approx(other, rel=1e-9, abs=1e-12) if isinstance(one, float) else one == other
    )


@pytest.mark.parametrize("name", STUDIES)
def test_results_are_those_of_the_predictions(name):
    stored = files.read_json(ROOT / "reports" / name / "results.json")
    for pair in stored["leakage"]["pairwise"]:  # tests that decided nothing and are gone
        pair.pop("mcnemar_p", None), pair.pop("corrected_t_p", None)
    again = study_results.results(StudyFolder(ROOT / "reports" / name), name)
    for part in ("profile", "corpus", "protocol", "models", "leakage", "power"):
        assert same(again[part], stored[part]), part
    assert [pair["separable"] for pair in again["pairwise"]] == [
        pair["separable"] for pair in stored["pairwise"]
    ]


def test_real_music_is_in_no_report_and_composed_pieces_are_where_they_are_recognised():
    heard = [path for path in PAGES if "<audio" in path.read_text(encoding="utf-8")]
    real = [path.stem for path in heard if path.parent.name != "demo"]
    assert "08_recognition" in real and {*real} <= {"08_recognition", "appendix"}
    assert "01_data_preparation" in [path.stem for path in heard if path.parent.name == "demo"]
