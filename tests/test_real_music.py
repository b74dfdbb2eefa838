"""A study of real WAV files, from end to end."""

from pathlib import Path

from browser import check_page
from genre_utils import files
from study_runs import SMALL, chosen, command


def test_real_wav_files_go_from_end_to_end(places, page, gtzan_mini):
    small = chosen(SMALL | {"GENRES": "[classical, metal, pop]", "FOLDS": 2, "MODELS": "[svm]"})
    done = command("study", "--profile", "gtzan-mini", *small, env=places)
    assert done.returncode == 0, done.stdout + done.stderr
    study = Path(places["GENRE_REPORTS_DIR"]) / "gtzan-mini"
    results = files.read_json(study / "results.json")
    assert results["corpus"]["tracks"] == 30 and results["corpus"]["synthetic"] is False
    check_page(page, study / "01_data_preparation.html", synthetic=False)
    text = (study / "index.html").read_text()
    assert "A check of the pipeline" in text and "<audio" not in text
