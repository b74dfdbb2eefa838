"""Models, stores and archives by strangers: nothing in them is executed, or believed unchecked."""

import ast
import gzip
import json
import os
import pickle
import re
import resource
import tarfile
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genre_utils.data import auditing, downloads, folders
from genre_utils.evaluation import scoring
from genre_utils.features import recipes, store
from genre_utils.recognition import exported_model, listening, recogniser
from genre_utils.report import profiles, stages
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder
from study_runs import ROOT

PACKAGE = ROOT / "genre_utils"
#: Modules and functions that execute what they read.
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle"}
CALLS = {"exec", "eval", "read_pickle", "to_pickle", "unsafe_load", "full_load", "system"}
CALLS |= {"joblib.load", "joblib.dump", "yaml.load", "torch.load", "enable_unsafe_deserialization"}


def dangers(source):
    """Lines of a source that would execute, or unpickle, what they read."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            bad = MODULES & {name.split(".")[0] for name in names}
        elif isinstance(node, ast.Call):
            name, given = (
                ast.unparse(node.func),
                {k.arg: ast.unparse(k.value) for k in node.keywords},
            )
            bad = CALLS & {name, name.split(".")[-1]}
            bad |= {"allow_pickle"} & set(given) if given.get("allow_pickle") != "False" else set()
            if name.endswith("models.load_model") and given.get("safe_mode") != "True":
                bad |= {"safe_mode"}
            bad |= {"shell"} if given.get("shell", "False") != "False" else set()
        else:
            continue
        found += [(node.lineno, one) for one in sorted(bad)]
    return found


class Evil:
    """An object whose pickle makes a folder when it is read."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


# ---------------------------------------------------------------------------- what is executed


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_module_executes_what_it_reads(path):
    assert dangers(path.read_text()) == []


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_no_notebook_executes_what_it_reads(path):
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells]
    code = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert cells and dangers(re.sub(r"(?m)^(\s*)[%!].*", r"\1pass", "\n".join(code))) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from marshal import loads",
        "import joblib; joblib.load(x)",
        "np.load(x, allow_pickle=True)",
        "np.load(x, allow_pickle=trust)",
        "yaml.load(x)",
        "exec(x)",
        "builtins.eval(x)",
        "pd.read_pickle(x)",
        "keras.models.load_model(x)",
        "keras.models.load_model(x, safe_mode=False)",
        "keras.config.enable_unsafe_deserialization()",
        "subprocess.run(x, shell=True)",
        "os.system(x)",
    ],
)
def test_the_search_for_dangers_finds_them(line):
    assert len(dangers(line)) == 1
    assert dangers("np.load(x, allow_pickle=False); yaml.safe_load(x); model.eval_loss()") == []


def test_parameters_of_a_notebook_are_read_and_not_run(tmp_path):
    cell = nbformat.v4.new_code_cell(
        "A = [1, 'x']  # why\nB = -2.5", metadata={"tags": ["parameters"]}
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    assert profiles.defaults(tmp_path / "a.ipynb") == {"A": [1, "x"], "B": -2.5}
    cell.source = f"A = __import__('os').mkdir({str(tmp_path / 'made')!r})"
    nbformat.write(notebook, tmp_path / "a.ipynb")
    with pytest.raises(ValueError, match="malformed"):
        profiles.defaults(tmp_path / "a.ipynb")
    assert not (tmp_path / "made").exists()


def test_jupyter_listens_to_this_machine_alone_and_asks_for_a_token():
    recipe = (ROOT / "Makefile").read_text().partition("\nlab:")[2].partition("\n\n")[0]
    assert "--ip=127.0.0.1" in recipe
    assert not re.search("token|password|allow_origin|disable_check_xsrf|allow-root", recipe)


# ---------------------------------------------------------------------------- exported models


@pytest.fixture
def model(tmp_path):
    """A copy of the model of this package, to be tampered with."""
    for path in (exported_model.PRETRAINED, exported_model.sidecar_path(exported_model.PRETRAINED)):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / exported_model.PRETRAINED.name


def describe(model, change):
    """Change the sidecar of a model, and let it name the model as it is now."""
    beside = exported_model.sidecar_path(model)
    about = json.loads(beside.read_text()) | {"sha256": exported_model.file_sha256(model)}
    change(about)
    beside.write_text(json.dumps(about))


def refused(model, match):
    with pytest.raises(exported_model.ModelError, match=match):
        exported_model.MusicStyleClassifier(model)


def put(*keys, value):
    def change(about):
        for key in keys[:-1]:
            about = about[key]
        about[keys[-1]] = value

    return change


STUDY = {"kind": "study", "n_fft": 2048, "hop_length": 1024, "n_mfcc": 20, "loudness": "none"}
STUDY |= {"frames_per_second": 22_050 / 1024, "excerpt_frames": 129}
LIES = {
    "window": (put("recipe", "n_fft", value=2**30), "n_fft must be smaller"),
    "odd window": (put("recipe", "n_fft", value=2049), "n_fft must be multiple of 2"),
    "endless": (put("recipe", "clip_seconds", value=1e9), "clip_seconds must be smaller"),
    "infinite": (put("recipe", "clip_seconds", value=float("inf")), "no sidecar"),
    "no number": (put("temperature", value=float("nan")), "no sidecar"),
    "negative": (put("recipe", "sr", value=-1), "sr must be bigger"),
    "fraction": (put("recipe", "excerpt_frames", value=77.0), "does not work"),
    "frames": (put("recipe", "frames", value=10**6), "frames must be smaller"),
    "rate": (put("recipe", "frames_per_second", value=50.0), "frames an excerpt"),
    "excerpt": (put("recipe", "excerpt_seconds", value=31.0), "excerpts of 31 s"),
    "many frames": (
        lambda about: about["recipe"].update(STUDY, clip_seconds=600, frames_per_second=1000),
        "clips of 600 s, 1000 frames a second",
    ),
    "sound": (put("recipe", value={}), "recipe must contain"),
    "kind of study": (put("recipe", "kind", value="study"), "recipe must contain"),
    "reads": (put("recipe", "reads", value=["log_mel"]), "does not work"),
    "bands": (put("recipe", "n_mels", value=64), "does not fit"),
    "labels": (put("labels", value=["jazz", "rock"]), "does not fit"),
    "no labels": (lambda about: about.pop("labels"), "labels"),
    "twice": (put("labels", value=["jazz"] * 10), "unique"),
    "text": (put("labels", value="blues rock"), "labels must be array"),
    "accuracy": (put("accuracy", "value", value=1.5), r"accuracy\.value"),
    "unlike": (put("unlike", "above", value=0), "above must be bigger"),
    "shorter": (put("unlike", "shorter", 0, "seconds", value=0), "seconds must be bigger"),
    "kind": (put("kind", value="litert"), "does not fit its sidecar: litert"),
    "another": (put("sha256", value="0" * 64), "another SHA-256"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_sidecar_that_lies_is_refused(model, lie):
    change, match = LIES[lie]
    describe(model, change)
    refused(model, match)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '"x"', '{"format": {}}', "\udcff"])
def test_what_is_no_sidecar_is_refused(model, text):
    exported_model.sidecar_path(model).write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(model, "no sidecar|of format")


def test_a_sidecar_or_model_of_absurd_size_is_not_read(model):
    os.truncate(exported_model.sidecar_path(model), 1 << 40)
    refused(model, "larger than a model can be")
    os.truncate(model, 1 << 40)
    refused(model, r"gtzan\.npz is larger")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda some: (
        st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=3), some, max_size=2)
    ),
    max_leaves=4,
)


def places(content, path=()):
    """Every place in a JSON document."""
    inside = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in inside:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


ABOUT = json.loads(exported_model.sidecar_path(exported_model.PRETRAINED).read_text())


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(sorted(places(ABOUT), key=str)), value=JSON)
def test_any_change_of_a_sidecar_is_harmless_or_refused(model, place, value):
    exported_model.sidecar_path(model).write_text(json.dumps(ABOUT))
    describe(model, put(*place, value=value))
    try:
        about = exported_model.read_sidecar(model)
    except exported_model.ModelError as error:
        assert str(model) in str(error) and len(str(error)) < 600
    else:
        assert exported_model._wrong(about) == ""


def arrays_of(model):
    with np.load(model, allow_pickle=False) as stored:
        return dict(stored)


def header_only(shape):
    """An array's header without its values."""
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(f"{name}.npy", content)


def bomb(path):
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("mean.npy", "w", force_zip64=True) as member,
    ):
        member.write(header_only((1 << 22,)))
        for _ in range(17):
            member.write(bytes(1 << 20))


MODELS = {
    "bomb": (bomb, "unpacks to"),
    "lie": (lambda path: zipped(path, mean=header_only((1 << 44,))), "no arrays"),
    "cut": (lambda path: zipped(path, mean=header_only((100,))), "no arrays"),
    "no header": (lambda path: zipped(path, mean=b"\x93NUMPY\x01\0\xff\xff{" * 9), "no arrays"),
    "an array": (lambda path: path.write_bytes(header_only((4,)) + bytes(16)), "no arrays"),
    "text": (lambda path: path.write_text("model"), "no arrays"),
    "empty": (lambda path: zipped(path), "does not fit"),
}
NUMBERS = {
    "no number": {"weights": lambda x: x * np.nan},
    "division": {"scale": lambda x: x * 0},
    "text": {"mean": lambda x: np.array(["a"] * len(x))},
    "columns": {"weights": lambda x: x[1:]},
    "all columns": {name: (lambda x: x[1:]) for name in ("mean", "scale", "weights")},
    "genres": {"weights": lambda x: x[:, 1:], "bias": lambda x: x[1:]},
    "scalar": {"bias": lambda x: x[0]},
    "sounds": {"typical": lambda x: x[:0]},
    "bank": {"mel_bank": lambda x: x.T},
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_file_that_means_harm_is_refused(model, monkeypatch, kind):
    monkeypatch.setattr(exported_model, "MAX_MODEL", 1 << 24)
    make, match = MODELS[kind]
    make(model)
    describe(model, lambda about: None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(model, match)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10  # KiB


@pytest.mark.parametrize("kind", NUMBERS)
def test_a_model_that_does_not_fit_its_sidecar_is_refused(model, kind):
    arrays = arrays_of(model)
    np.savez(model, **arrays | {name: f(arrays[name]) for name, f in NUMBERS[kind].items()})
    describe(model, lambda about: None)
    refused(model, "does not fit|does not work|no training leaves")


def test_an_answer_that_is_no_number_is_not_given(model, monkeypatch):
    recognise = recogniser.MusicStyleRecognition()
    none = lambda *heard: np.full((5, 10), np.nan)  # noqa: E731
    monkeypatch.setattr(exported_model.MusicStyleClassifier, "predict", none)
    refused(model, "no probabilities")
    with pytest.raises(listening.RecognitionError, match="no number"):
        recognise.predict([(0.0, np.sin(np.arange(22_050 * 30, dtype=np.float32)))])


@pytest.mark.parametrize("content", [b"", b"x" * 1000, b"\x20\0\0\0TFL3" + bytes(100)])
def test_a_network_that_is_none_is_refused(model, content):
    sounds = {k: v for k, v in arrays_of(model).items() if k.startswith(("typical", "mel"))}
    np.savez(model, litert=np.frombuffer(content + b"\0", np.uint8), **sounds)
    describe(model, put("kind", value="litert"))
    refused(model, "does not work")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bits_flipped_in_a_model_file_are_refused_or_harmless(model, data):
    content = bytearray(exported_model.PRETRAINED.read_bytes())
    ends = st.integers(0, 200) | st.integers(len(content) - 700, len(content) - 1)
    for place in data.draw(st.lists(ends, min_size=1, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    model.write_bytes(content)
    describe(model, lambda about: None)
    try:
        exported_model.MusicStyleClassifier(model)
    except exported_model.ModelError as error:
        assert str(model) in str(error)


# ----------------------------------------------------------------------------------- pickles


@pytest.mark.parametrize("kind", ["model", "store", "fingerprint", "pickle"])
def test_no_pickle_is_read_anywhere(model, tmp_path, monkeypatch, kind):
    made, evil = tmp_path / "made", np.array([Evil(tmp_path / "made")], dtype=object)
    pd.DataFrame({"track_id": ["a"], "genre": ["jazz"]}).to_csv(tmp_path / "tracks.csv")
    if kind in ("model", "pickle"):
        np.savez(model, **arrays_of(model) | {"typical": evil})
        if kind == "pickle":
            model.write_bytes(pickle.dumps(Evil(made)))
        describe(model, lambda about: None)
        refused(model, "pickle")
    elif kind == "store":
        np.save(tmp_path / "log_mel.npy", evil)
        with pytest.raises(folders.CorpusError, match="cannot be read as an array"):
            folders.load_arrays(tmp_path, ["a"])
    else:
        monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path))
        y = np.random.default_rng(0).normal(size=22_050).astype(np.float32)
        expected = auditing._fingerprint([y], 22_050, "abc")
        (stored,) = tmp_path.rglob("abc.npy")
        np.save(stored, evil)
        assert np.array_equal(auditing._fingerprint([y], 22_050, "abc"), expected)
    assert not made.exists()
    pickle.loads(pickle.dumps(Evil(made)))
    assert made.exists()  # so it would have been


# ---------------------------------------------------------------------------- what a study left


def test_a_file_of_a_study_that_was_tampered_with_does_not_count_as_done(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
    record = {"key": "k", "outputs": {"t.parquet": files.file_md5(tmp_path / "t.parquet")}}
    files.write_json(tmp_path / "stages" / "s.json", record)
    assert stages.is_done(StudyFolder(tmp_path), "s", "k")
    pd.DataFrame({"a": [2]}).to_parquet(tmp_path / "t.parquet")
    assert not stages.is_done(StudyFolder(tmp_path), "s", "k")


@pytest.mark.parametrize("p", [[np.nan, 1.0], [2.0, -1.0], [0.5, 0.6], [np.inf, 0.0]])
def test_predictions_that_are_no_probabilities_are_refused(p):
    table = pd.DataFrame({"track_id": ["a"], "excerpt": [0], "y_true": ["jazz"]})
    table[["p_jazz", "p_rock"]] = [p]
    with pytest.raises(ValueError, match="probabilit"):
        scoring.check_table(table, ["jazz", "rock"])


def test_a_tampered_cache_of_features_is_computed_anew(tmp_path):
    place = tmp_path / "a.npz"
    np.savez(place, log_mel=np.array([Evil(tmp_path / "made")], dtype=object))
    with pytest.raises(store.ChangedFileError):  # it goes on to the file, which is not there
        store._cached("a", tmp_path / "a.wav", "0", recipes.Recipe(), (), 0, {}, place)
    assert not (tmp_path / "made").exists()


# ---------------------------------------------------------------------------- archives


def tar_header(name, kind=tarfile.REGTYPE, size=0):
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


def long_header(kind):
    """A tar whose first header goes on for 300 MB, of which the archive has one."""

    def make(path):
        with gzip.open(path, "wb", 1) as packed:
            packed.write(tar_header("x", kind, 300 << 20))
            for _ in range(300):
                packed.write(b"A" * (1 << 20))
            packed.write(tar_header("a.wav"))

    return make


def zip_with(*entries, count=None):
    def make(path):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in entries:
                packed.writestr(zipfile.ZipInfo(name), content)
        if count is not None:  # the number of entries that the end of the directory announces
            content = bytearray(path.read_bytes())
            end = content.rindex(b"PK\5\6")
            content[end + 8 : end + 12] = 2 * count.to_bytes(2, "little")
            path.write_bytes(content)

    return make


def overlapping(path):
    """A zip whose directory names one compressed member of 1 MB two hundred times."""
    zip_with(("a000", bytes(1 << 20)))(path)
    content = path.read_bytes()
    begin, end = content.index(b"PK\1\2"), content.rindex(b"PK\5\6")
    entries = [content[begin:end].replace(b"a000", b"a%03d" % n) for n in range(200)]
    tail = bytearray(content[end:])
    tail[8:12] = 2 * (200).to_bytes(2, "little")
    tail[12:16] = sum(map(len, entries)).to_bytes(4, "little")
    path.write_bytes(content[:begin] + b"".join(entries) + tail)


ARCHIVES = {
    "long name": long_header(tarfile.GNUTYPE_LONGNAME),
    "long pax header": long_header(tarfile.XHDTYPE),
    "overlapping members": overlapping,
    "name too long": zip_with(("a" * 300 + ".wav", b"x")),
    "path too long": zip_with(("a/" * 3000 + "b.wav", b"x")),
    "empty name": zip_with(("", b"x")),
    "only dots": zip_with((".", b"x")),
    "folder as file": zip_with(("rock/a.wav", b"x"), ("rock", b"x")),
    "twice by dots": zip_with(("rock/a.wav", b"x"), ("rock/./a.wav", b"y")),
    "twice by slashes": zip_with(("rock/a.wav", b"x"), ("rock//a.wav", b"y")),
    "up by backslash": zip_with(("rock\\..\\..\\evil.wav", b"x")),
    "share": zip_with(("\\\\server\\share\\evil.wav", b"x")),
    "drive": zip_with(("c:evil.wav", b"x")),
    "count": zip_with(("a.wav", b"x"), ("b.wav", b"x"), count=60_000),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_means_harm_is_refused_in_little_memory(tmp_path, kind):
    ARCHIVES[kind](tmp_path / "evil.bin")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        out = downloads.unpack(tmp_path / "evil.bin", tmp_path / "out", max_bytes=1 << 25)
    except folders.CorpusError as error:
        assert "is not an archive that can be unpacked: " in str(error)
        assert os.listdir(tmp_path) == ["evil.bin"]
    else:
        assert kind == "count"  # zipfile goes by the directory itself
        assert sorted(os.listdir(out)) == ["a.wav", "b.wav"]
    # KiB; a header of 300 MB that is read takes twice as much
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


NASTY = st.lists(
    st.sampled_from(["..", ".", "", "a", "A", "\\", "C:", "~", "\n", "é", "x" * 256, "con"]),
    min_size=1, max_size=6,
).map("/".join)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(names=st.lists(NASTY, min_size=1, max_size=3))
def test_whatever_members_are_called_nothing_is_written_outside(tmp_path_factory, names):
    base = tmp_path_factory.mktemp("names")
    with tarfile.open(base / "evil.bin", "w") as packed:
        for name in names:
            packed.addfile(tarfile.TarInfo(name))
    try:
        downloads.unpack(base / "evil.bin", base / "in" / "out", max_bytes=1 << 20)
    except folders.CorpusError:
        assert not any((base / "in").iterdir())
    assert {path.name for path in base.iterdir()} <= {"evil.bin", "in"}
    assert not (base / "in").exists() or {p.name for p in (base / "in").iterdir()} <= {"out"}


def test_names_that_differ_in_case_alone_are_kept_apart_or_refused(tmp_path):
    zip_with(("Rock/A.wav", b"1"), ("rock/a.wav", b"2"))(tmp_path / "a.zip")
    case_sensitive = not Path(str(tmp_path).upper()).exists()
    if not case_sensitive:
        with pytest.raises(folders.CorpusError):
            downloads.unpack(tmp_path / "a.zip", tmp_path / "out", max_bytes=10_000)
        return
    out = downloads.unpack(tmp_path / "a.zip", tmp_path / "out", max_bytes=10_000)
    assert (out / "Rock" / "A.wav").read_bytes() == b"1"
    assert (out / "rock" / "a.wav").read_bytes() == b"2"
