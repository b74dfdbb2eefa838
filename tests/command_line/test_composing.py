"""The command that composes a piece: what it writes, what it says, and what it refuses."""

import shutil
import sys

import mido
import pytest
import soundfile

from genre_utils import __main__
from genre_utils.data.composer import single
from genre_utils.recognition import exported_model
from genre_utils.workspace import files


@pytest.fixture(name="compose")
def compose_fixture(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; return its code and what it said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = __main__.main(["compose", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module", name="composed_model")
def composed_model_fixture(tmp_path_factory):
    """The model of this package, which says that it has learned composed music."""
    path = tmp_path_factory.mktemp("models") / "logistic.npz"
    shutil.copy(exported_model.PRETRAINED, path)
    about = files.read_json(exported_model.sidecar_path(exported_model.PRETRAINED))
    about["corpus"]["synthetic"] = True
    files.write_json(exported_model.sidecar_path(path), about)
    return path


def test_a_piece_is_written_and_called_composed(compose, tmp_path):
    code, out, err = compose("jazz", "--seed", 7, "--seconds", 5)
    plan = single.piece_plan("jazz", seed=7)
    assert (code, err) == (0, f"{single.statement(plan)}.\n")
    assert out == f"jazz-7.wav: {single.title(plan)}, by {plan.artist.name}, 5 s\n"
    assert soundfile.info(tmp_path / "jazz-7.wav").frames == 5 * 22_050
    single.write_piece(plan, tmp_path / "again.wav", 5)
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "jazz-7.wav").read_bytes()
    assert compose("jazz", "-o", tmp_path / "new" / "score.mid")[0] == 0
    assert len(mido.MidiFile(tmp_path / "new" / "score.mid").tracks) > 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["metal"], 2, "'metal' cannot be composed; the genres are rock, pop, classical, jazz."),
        (["jazz", "-o", "piece.txt"], 2, "whose name ends in .wav, .flac, .ogg, .mid."),
        (["jazz", "-o", "file/piece.mid"], 1, "'file/piece.mid' cannot be written: "),
        (["jazz", "--like", "2"], 2, "run `make study`, or name one with --model."),
        (["jazz", "--like", "2", "--model", "no.npz"], 2, "no.npz is not there"),
        (["jazz", "--like", "2", "--model", exported_model.PRETRAINED], 2, "learned real music"),
    ],
)
def test_what_cannot_be_done_is_said(compose, tmp_path, monkeypatch, arguments, code, said):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENRE_REPORTS_DIR", str(tmp_path))
    found, out, err = compose(*arguments)
    assert (found, out) == (code, "") and said in err and len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("option", "least"), [("--seconds=4", "5 to 600"), ("--seconds=x", "5 to 600"),
                          ("--like=0", "1 to 1000"), ("--seed=-1", "0 up")],
)  # fmt: skip
def test_a_number_out_of_bounds_is_refused(compose, capsys, option, least):
    with pytest.raises(SystemExit):
        compose("jazz", option)
    assert f"is not a number from {least}" in capsys.readouterr().err


def test_without_the_synthesiser_its_line_is_said_and_a_score_is_written(
    compose, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    code, _, err = compose("rock")
    assert code == 1 and "pip install --no-deps -r requirements-nodeps.txt" in err
    assert not list(tmp_path.iterdir())
    assert compose("rock", "-o", "score.mid")[0] == 0


def test_of_several_the_most_typical_is_kept(compose, composed_model, tmp_path):
    code, out, err = compose("jazz", "--seconds=5", "--like=2", "--model", composed_model)
    assert code == 0 and out.startswith("jazz-typical.wav: ")
    kept = soundfile.SoundFile(tmp_path / "jazz-typical.wav").copy_metadata()["comment"]
    *_, won, said = err.splitlines()
    assert said == f"{kept}." and won.startswith("Most typical: jazz, seed ")
    assert f"Composed by rule ({won.split(': ')[1].split(', prob')[0]}, " in kept


def test_the_best_exported_model_of_the_demo_is_asked(tmp_path, monkeypatch, composed_model):
    monkeypatch.setenv("GENRE_REPORTS_DIR", str(tmp_path))
    models = {"svm": {"accuracy": 0.9}, "logistic": {"accuracy": 0.8}, "cnn": {"accuracy": 0.7}}
    for name in ("logistic", "cnn"):  # of the best there is none
        path = tmp_path / "demo" / "models" / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        for one in (str, exported_model.sidecar_path):
            shutil.copy(one(composed_model), one(path))
    files.write_json(tmp_path / "demo" / "results.json", {"models": models})
    assert exported_model.of_composed_music().stem == "logistic"
