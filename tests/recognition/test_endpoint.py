"""The endpoint beside the page, asked by a real client: answers, limits, and what it refuses."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import numpy as np
import pytest
from conftest import write_sound
from test_page import keep_gradio

from genre_utils import __main__
from genre_utils.recognition import exported_model, recogniser
from genre_utils.workspace import files

httpx = pytest.importorskip("httpx", reason="no Gradio: pip install -r requirements-page.txt")
pytest.importorskip("gradio", reason="no Gradio: pip install -r requirements-page.txt")

SCHEMA = jsonschema.Draft202012Validator(files.read_json(exported_model.SCHEMA))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        keep_gradio(patch)
        __main__._set_up_gradio(str(tmp_path_factory.getbasetemp() / "uploads"))
        from genre_utils.recognition import endpoint, page

        patch.setattr(endpoint, "MEGABYTES", 1)
        patch.setattr(endpoint, "IDLE_SECONDS", 2.0)
        patch.setattr(endpoint, "WAITING", 2)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        served = page.listen(exported_model.PRETRAINED, host="127.0.0.1", port=port)
        yield served.url
        served.stop()


def ask(address, name, content, **more):
    files = {"file": (name, content)}
    return httpx.post(f"{address}recognize", files=files, timeout=120, trust_env=False, **more)


def test_a_recording_is_answered_as_on_the_command_line(address, tmp_path):
    path = write_sound(tmp_path / "a.flac", 3, seconds=7.0)
    answer = ask(address, "ünï.flac", path.read_bytes())
    assert answer.status_code == 200
    SCHEMA.validate(answer.json())
    expected = recogniser.MusicStyleRecognition().run(path) | {"audio_file": "ünï.flac"}
    assert answer.json() == expected
    thorough = ask(address, "a.flac", path.read_bytes(), params={"thorough": True})
    assert thorough.json()["predicted_label"] == expected["predicted_label"]


@pytest.mark.parametrize("content", [b"", b"no music", b"RIFF" + bytes(100)])
def test_what_is_no_music_is_refused_in_words(address, content):
    answer = ask(address, "../../etc/passwd", content)
    assert answer.status_code == 422 and "error" in answer.json()
    SCHEMA.validate(answer.json())


def test_a_request_without_a_file_says_what_is_missing(address):
    answer = httpx.post(f"{address}recognize", data={"a": "b"}, trust_env=False)
    assert answer.status_code == 422 and "'file'" in answer.json()["error"]
    assert httpx.get(f"{address}recognize", trust_env=False).status_code in (404, 405)


def test_what_is_too_large_is_not_read_whether_it_says_so_or_not(address):
    answer = ask(address, "a.wav", bytes(3_000_000))
    assert answer.status_code == 413
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    told = {"Content-Type": "multipart/form-data; boundary=x"}

    def chunks():
        yield body
        for _ in range(40):
            yield bytes(100_000)

    unsaid = httpx.post(
        f"{address}recognize", content=chunks(), headers=told, timeout=60, trust_env=False
    )
    assert unsaid.status_code == 413


def test_an_upload_that_stops_is_given_up(address):
    host, port = address.removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = "POST /recognize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n"
        head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        connection.sendall(head.encode())
        start = time.monotonic()
        answer = connection.recv(4096).decode()
    assert " 408 " in answer.splitlines()[0] and time.monotonic() - start < 20


def test_more_than_can_wait_are_turned_away_and_the_rest_answered(address, tmp_path):
    content = write_sound(tmp_path / "a.flac", 3, seconds=20.0).read_bytes()
    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(lambda number: ask(address, f"{number}.flac", content), range(24)))
    codes = {number: answer.status_code for number, answer in enumerate(found)}
    assert set(codes.values()) == {200, 503}
    answered = [answer.json() for answer in found if answer.status_code == 200]
    assert len(answered) >= 3 and len({json.dumps(a["probabilities"]) for a in answered}) == 1
    assert all(found[n].json()["audio_file"] == f"{n}.flac" for n in codes if codes[n] == 200)
    assert ask(address, "after.flac", content).status_code == 200


def test_another_site_cannot_ask_in_its_own_name(address):
    answer = ask(address, "a.wav", b"x", headers={"Host": "elsewhere.example"})
    assert answer.status_code == 400 and "host" in answer.text.lower()


def test_it_describes_itself(address):
    told = httpx.get(f"{address}openapi.json", trust_env=False).json()
    operation = told["paths"]["/recognize"]["post"]
    assert {"200", "408", "413", "422", "503"} <= set(operation["responses"])
    schema = {"$ref": "#/components/schemas/prediction", "components": told["components"]}
    prediction = recogniser.MusicStyleRecognition().predict(
        [(0.0, 0.1 * np.random.default_rng(0).normal(size=22_050 * 3).astype(np.float32))]
    )
    jsonschema.Draft202012Validator(schema).validate({"audio_file": "a"} | prediction)
    assert httpx.get(address, trust_env=False).status_code == 200  # the page beside it
