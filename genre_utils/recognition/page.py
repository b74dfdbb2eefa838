"""A page on which to try recognition in a browser: ``python -m genre_utils page``; needs Gradio."""

import base64
import ipaddress
import os
import signal
import sys
import tempfile
import threading
import time
from html import escape
from io import BytesIO
from pathlib import Path

import gradio
import matplotlib
import matplotlib.pyplot as plt

from genre_utils.plots import base as style_base
from genre_utils.plots import recognition as recognition_plots
from genre_utils.recognition import batch, listening, recogniser

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported: no word leaves

MEGABYTES = 200  # of a recording, at most
SECONDS = 60.0  # of computing, after which the answer is to what was heard until then
WAITING = 16  # recordings that wait for their turn; more are turned away
WIDTHS = {"": recognition_plots.WIDTH, "(max-width: 640px)": 4.0}  # inches of figures, by screen
FONTS = ["system-ui", "sans-serif"]
STYLE = """
.gradio-container { overflow-wrap: anywhere; }
.answer p { margin: .4em 0; }
.note { border-left: 4px solid #de8f05; padding-left: .7em; }
.wrong { border-left: 4px solid #c0392b; padding-left: .7em; }
.pictures { display: flex; flex-wrap: wrap; gap: 1em; align-items: start; }
.pictures figure { flex: 1 1 28em; min-width: 0; max-width: 46em; margin: 0; }
.pictures img { width: 100%; }
"""


class PageError(RuntimeError):
    """The page cannot be served; the message says why and what to do."""


def serve(model_path: str | Path, *, host: str, port: int) -> None:
    """Serve the page until the process is stopped; then what was uploaded is deleted.

    Parameters
    ----------
    model_path : str or Path
    host : str
        Address to listen on.
    port : int

    Raises
    ------
    recognition.ModelError
    PageError
        If nothing can listen there.
    """
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        blocks = build(model_path)
        url = listen(blocks, host=host, port=port)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # tidied up then, too
        print(f"The page is at {url} (Ctrl-C stops it)", file=sys.stderr, flush=True)
        try:
            threading.Event().wait()
        finally:
            blocks.close(verbose=False)


def listen(blocks, *, host: str, port: int, megabytes: int = MEGABYTES) -> str:
    """Serve a page from now on, in threads of its own; return its address.

    Parameters
    ----------
    blocks : gradio.Blocks
        From `build`.
    host : str
    port : int
    megabytes : int
        Largest file that is taken.
    """
    if not _is_loopback(host):
        print(
            f"Whoever reaches {host}:{port} over the network can use this page and make this "
            "machine compute; there is no password. Browsers let a page record only over HTTPS or "
            "from 127.0.0.1.",
            file=sys.stderr,
        )
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"  # Gradio asks itself whether it is there
    try:
        _, url, _ = blocks.launch(
            server_name=host, server_port=port, max_file_size=f"{megabytes}mb", quiet=True,
            share=False, run_history=False, enable_monitoring=False, mcp_server=False, pwa=False,
            ssr_mode=False, footer_links=[], prevent_thread_lock=True, css=STYLE,
            theme=gradio.themes.Default(font=FONTS, font_mono=["ui-monospace", "monospace"]),
        )  # fmt: skip
    except OSError as error:
        raise PageError(
            f"nothing can listen on {host}:{port}: another program does, or {host} is no address "
            "of this machine; name others with --port and --host"
        ) from error
    return url


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def build(model_path: str | Path, *, seconds: float = SECONDS):
    """Make the page.

    Parameters
    ----------
    model_path : str or Path
        An exported model.
    seconds : float
        Time to compute, after which the answer is to what was heard until then.

    Returns
    -------
    gradio.Blocks
    """
    matplotlib.use("Agg")
    style_base.style()
    model = recogniser.MusicStyleRecognition(model_path)

    def answer(path):
        if path is None:
            return "", gradio.Label(visible=False), ""
        name = Path(path).name
        try:
            said, images = recognised(model, path, seconds)
        except batch.FAILURES as error:
            return failure(name, error), gradio.Label(visible=False), ""
        shares = gradio.Label(said["probabilities"], visible=True)
        about = model.classifier.about
        return verdict(name, said, about), shares, pictures(said, images, about)

    with gradio.Blocks(
        title="Which genre is this?", analytics_enabled=False, delete_cache=(600, 3600)
    ) as blocks:
        gradio.HTML(introduction(model.classifier.about))
        with gradio.Row():
            with gradio.Column(min_width=300):
                clip = gradio.Audio(
                    type="filepath", sources=["upload", "microphone"], buttons=[],
                    label=f"A recording, of at most {MEGABYTES} MB",
                )  # fmt: skip
                told = gradio.HTML()
            with gradio.Column(min_width=300):
                shares = gradio.Label(
                    label="Probability of each genre", show_heading=False, visible=False
                )
        shown = gradio.HTML()
        clip.change(
            answer, clip, [told, shares, shown], concurrency_limit=1, api_visibility="private"
        )
    return blocks.queue(max_size=WAITING)


def recognised(model, path: str | Path, seconds: float):
    """Answer to a recording, or to as much of it as can be heard in some time.

    Parameters
    ----------
    model : recognition.MusicStyleRecognition
    path : str or Path
    seconds : float

    Returns
    -------
    answer : dict
        See `recogniser.MusicStyleRecognition.run`.
    images : list of (float, np.ndarray)
        Start of each window in seconds, and what the model heard of it.
    """
    images, windows = [], model.preprocess(path)
    answer = model.predict(_until(windows, time.monotonic() + seconds), lambda *w: images.append(w))
    if next(windows, None) is not None:
        heard = answer["duration_s"] / 60
        answer["warnings"].append(
            f"Only the first {heard:.1f} minutes were heard: more would take over {seconds:g} s."
        )
    else:
        answer["warnings"] += listening.ends_early(path, answer["duration_s"])
    return answer, images


def _until(windows, end):
    """Yield at least one window, and others as long as there is time."""
    for window in windows:
        yield window
        if time.monotonic() > end:
            return


# ---------------------------------------------------------------------------- in words, as HTML


def introduction(about: dict) -> str:
    """What the page does, and what its model is, from the sidecar of the model."""
    corpus, accuracy = about["corpus"], about["accuracy"]
    low, high = accuracy["ci95"]
    parts = [
        "Drop a recording or make one. It stays on the machine that serves this page.",
        f"The model {about['model']} was trained on {corpus['name']}: {corpus['tracks']} tracks of "
        f"{'composed' if corpus['synthetic'] else 'real'} music by {corpus['artists']} artists. It "
        f"names {accuracy['value']:.2f} [{low:.2f}, {high:.2f}] of them rightly, with its 95 % "
        f"interval: {accuracy['what']}. Guessing would give {1 / len(about['labels']):.2f}. It "
        f"knows {', '.join(about['labels'])}, and nothing else.",
    ]
    banner = "Composed music. What this model has learned is no evidence about real genres."
    return (
        _notes([banner] if corpus["synthetic"] else [])
        + "<h1>Which genre is this?</h1>"
        + "".join(f"<p>{escape(part)}</p>" for part in parts)
    )


def verdict(name: str, answer: dict, about: dict) -> str:
    """Answer in words: the genre, how sure it is, and its warnings."""
    told = f"{name}, {answer['duration_s']:.1f} s: probability {answer['confidence']:.2f}. "
    if not answer["uncertain"] and not answer["unlike_training"]:
        sure = about["abstain"]
        low, high = sure["ci95"]
        told += (
            f"That counts as sure: from {sure['below']:.2f} on, {sure['accuracy']:.2f} "
            f"[{low:.2f}, {high:.2f}] of the answers are right. "
        )
    if not answer["unlike_training"]:
        told += "It sounds like what the model was trained on."
    return (
        f'<div class="answer" role="status"><h2>{escape(answer["predicted_label"])}</h2>'
        f"<p>{escape(told)}</p>{_notes(answer['warnings'])}</div>"
    )


def _notes(texts):
    return "".join(f'<p class="note">{escape(text)}</p>' for text in texts)


def failure(name: str, error: Exception) -> str:
    """Say in words that a file could not be recognised, and why."""
    told = f"{name} could not be recognised: {error}."
    return f'<div class="answer" role="alert"><p class="wrong">{escape(told)}</p></div>'


def pictures(answer: dict, images, about: dict) -> str:
    """Timeline, and what the model heard; each drawn for wide and for narrow screens."""
    line, heard = {}, {}
    for media, width in WIDTHS.items():
        line[media] = recognition_plots.timelines({"Genre over time": answer}, "", width=width)
        heard[media] = recognition_plots.heard(images, answer, about["recipe"], width=width)
    drawn = _picture(line, "Probability of each genre in each excerpt of the recording")
    drawn += _picture(heard, "Spectrogram of the recording, and which excerpts spoke for its genre")
    return f'<div class="pictures">{drawn}</div>'


def _picture(figures, alt):
    sources = {media: _as_address(figure) for media, figure in figures.items()}
    narrow = "".join(f'<source media="{m}" srcset="{a}">' for m, a in sources.items() if m)
    return f'<figure><picture>{narrow}<img alt="{alt}" src="{sources[""]}"></picture></figure>'


def _as_address(figure):
    """PNG of a figure as a data: address."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
