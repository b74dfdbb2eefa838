"""The page to try recognition, in a real browser."""

import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
from conftest import song

import genre_utils.recognition
from genre_utils import __main__
from genre_utils.features import audio
from genre_utils.plots import formatting
from genre_utils.recognition import exported_model, recogniser

SR = audio.SAMPLE_RATE
LIMIT = 3  # MB
#: A picture takes another file on another screen, which interrupts its decoding: then once more.
DECODED = "i.decode().catch(() => i.decode())"
WIDTHS = f"all => Promise.all(all.map(i => {DECODED}.then(() => i.alt ? i.width : 0)))"
BUTTON = 'button[aria-label="Drop an audio file here to upload"]'
NASTY = "<img src=x onerror=alert(1)>${6*7}{{value}}<script>alert(2)<"


GRADIO = ("GRADIO_ANALYTICS_ENABLED", "GRADIO_TEMP_DIR", "NO_PROXY", "no_proxy")


def keep_gradio(patch):
    """Undo after a test what the command `page` does to its environment."""
    for name in GRADIO:
        patch.setenv(name, "")


@pytest.fixture(scope="module")
def page():
    with pytest.MonkeyPatch.context() as patch:
        keep_gradio(patch)
        __main__._set_up_gradio("")
        pytest.importorskip("gradio", reason="no Gradio: pip install -r requirements-page.txt")
        from genre_utils.recognition import page

    return page


@pytest.fixture(scope="module")
def address(page, tmp_path_factory):
    """Of the page, served on this machine for the tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        keep_gradio(patch)
        __main__._set_up_gradio(str(tmp_path_factory.getbasetemp() / "uploads"))
        patch.setattr(page.endpoint, "MEGABYTES", LIMIT)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        served = page.listen(exported_model.PRETRAINED, host="127.0.0.1", port=port)
        yield served.url
        served.stop()


@pytest.fixture
def visitor(browser, address):
    """The page in a browser; `complaints` are its errors, dialogs and requests to elsewhere."""
    tab = browser.new_page(viewport={"width": 360, "height": 800})
    tab.complaints = []
    tab.on("request", lambda request: _note_request(tab, request.url))
    tab.on("console", lambda m: tab.complaints.extend([m.text] if m.type == "error" else []))
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.on("dialog", lambda dialog: (tab.complaints.append("a dialog"), dialog.dismiss()))
    tab.goto(address)
    tab.wait_for_selector("h1")
    yield tab
    tab.close()


def _note_request(tab, url):
    parts = urlsplit(url.removeprefix("blob:"))
    if parts.scheme != "data" and parts.hostname != "127.0.0.1":
        tab.complaints.append(f"request: {url}")


def upload(tab, path):
    """Give a file to the page; return what it says."""
    tab.set_input_files("input[type=file]", path)
    return tab.locator(".answer").inner_text(timeout=180_000)  # on a busy machine


@pytest.fixture(scope="module")
def piece(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / f"{NASTY}.flac"
    soundfile.write(path, np.tile(song(3, seconds=15.0), 3), SR)
    return path


def test_a_recording_is_answered_on_any_screen(visitor, piece):
    told, answer = upload(visitor, piece), recogniser.MusicStyleRecognition().run(piece)
    assert told.startswith(answer["predicted_label"]) and f"{answer['confidence']:.2f}" in told
    assert "45.0 s" in told and "42" not in told
    for warning in answer["warnings"]:
        assert warning in told
    text = visitor.locator("body").inner_text()
    stated = exported_model.read_sidecar(exported_model.PRETRAINED)["accuracy"]
    accuracy = formatting.as_text(stated["value"], stated["ci95"])
    assert "650 tracks of real music by 205 artists" in text and accuracy in text
    visitor.get_by_text(f"{answer['confidence']:.0%}").first.wait_for(timeout=30_000)
    assert all(f"{tag} ({p:.2f})" in told for tag, p in answer["tags"].items())
    images = visitor.locator(".pictures img")
    assert images.count() == 2
    for width in (1280, 360):
        visitor.set_viewport_size({"width": width, "height": 800})
        drawn = images.evaluate_all(WIDTHS)
        assert all(200 < w < width for w in drawn)
        assert visitor.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not visitor.complaints


def test_a_file_is_chosen_by_keyboard(visitor, piece):
    visitor.wait_for_selector(f"{BUTTON}:visible")
    # keys reach the page by another way than the order to tell of a chooser: that is given before
    with visitor.expect_file_chooser(timeout=30_000) as chooser:
        for _ in range(20):
            visitor.keyboard.press("Tab")
            if visitor.evaluate(f"document.activeElement.matches('{BUTTON}')"):
                break
        visitor.keyboard.press("Enter")
    chooser.value.set_files(piece)
    told = visitor.locator(".answer").inner_text(timeout=180_000)
    assert "probability" in told and not visitor.complaints


def test_what_cannot_be_recognised_is_said_in_words(visitor, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(8 * SR), SR)
    assert "silence.wav could not be recognised: there is no sound" in upload(
        visitor, tmp_path / "silence.wav"
    )
    assert not visitor.complaints
    visitor.reload()
    (tmp_path / "text.wav").write_text("no sound at all")
    told = upload(visitor, tmp_path / "text.wav")  # the player complains of it, too
    assert "text.wav could not be recognised: not audio" in told and "Traceback" not in told
    assert visitor.locator(".pictures").count() == 0


def test_a_file_over_the_limit_is_refused(visitor, address, tmp_path):
    path = tmp_path / "large.wav"
    soundfile.write(path, np.zeros(2 * (LIMIT << 20) // 3), SR)
    visitor.set_input_files("input[type=file]", path)
    told = visitor.locator(".toast-body").inner_text(timeout=60_000)
    assert "exceed the maximum allowed size" in told and "large.wav" in told
    past = visitor.request.post(
        f"{address}gradio_api/upload",
        multipart={
            "files": {"name": "a.wav", "mimeType": "audio/wav", "buffer": bytes((LIMIT << 20) + 1)}
        },
    )
    assert past.status == 413


def test_a_long_recording_is_heard_as_far_as_there_is_time(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.tile(song(3), 7), SR)
    model = recogniser.MusicStyleRecognition()
    starts, model.thorough = [], True
    answer = model.run(tmp_path / "a.wav", watch=lambda start, _: starts.append(start), seconds=0)
    assert answer["duration_s"] == 30 and starts == [0.0]
    assert answer["warnings"][-1].startswith("Only the first 0.5 minutes were heard")
    assert model.run(tmp_path / "a.wav", seconds=60) == model.run(tmp_path / "a.wav")


def test_composed_music_is_called_so(page):
    about = exported_model.read_sidecar(exported_model.PRETRAINED)
    about["corpus"] = about["corpus"] | {"synthetic": True, "name": "<b>"}
    told = page._words().introduction(about)
    assert told.strip().startswith('<p class="note">Composed music.')
    assert "composed music by 205" in told and "&lt;b&gt;" in told


def test_it_says_who_can_reach_it_and_when_nothing_can_listen(page, address, capfd):
    port = urlsplit(address).port
    for host, warned in (("0.0.0.0", True), ("127.0.0.1", False), ("localhost", False)):
        with pytest.raises(page.PageError, match="nothing can listen on"):
            page.listen(exported_model.PRETRAINED, host=host, port=port)
        assert ("no password" in capfd.readouterr().err) == warned


def test_without_gradio_the_command_says_what_to_type(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "genre_utils.recognition.page", raising=False)
    monkeypatch.delattr(genre_utils.recognition, "page", raising=False)
    keep_gradio(monkeypatch)
    assert __main__.main(["page"]) == 1
    assert capsys.readouterr().err == (
        "this needs gradio, which is not installed: pip install -r requirements-page.txt\n"
    )
    assert (Path(__file__).parents[2] / "requirements-page.txt").is_file()


def test_a_model_that_is_not_there_ends_the_command(page, monkeypatch, capsys, tmp_path):
    keep_gradio(monkeypatch)
    assert __main__.main(["page", "--model", str(tmp_path / "no.npz")]) == 2
    assert "is not there" in capsys.readouterr().err
