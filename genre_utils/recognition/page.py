"""A page on which to try recognition in a browser; ``page.html.j2`` holds what is said on it.

Gradio reads its environment when it is imported, so `__main__` sets that first.
"""

import base64
import ipaddress
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import gradio
import jinja2
import matplotlib
import matplotlib.pyplot as plt
import uvicorn

from genre_utils.plots import base, formatting
from genre_utils.plots import recognition as figures
from genre_utils.recognition import batch, endpoint, recogniser

FONTS = ["system-ui", "sans-serif"]
WIDTHS = {"": base.WIDTH, "(max-width: 640px)": 4.0}  # inches of figures, by screen


class PageError(RuntimeError):
    """The page cannot be served; the message says why and what to do."""


class Served(NamedTuple):
    """A page that is served: its address, and what stops it."""

    url: str
    stop: Callable[[], None]


def serve(model_path: str | Path, *, host: str, port: int) -> None:
    """Serve the page, and the endpoint beside it, until the process is stopped."""
    served = listen(model_path, host=host, port=port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # tidied up then, too
    print(f"The page is at {served.url} (Ctrl-C stops it)", file=sys.stderr)
    print(
        f"Programs ask POST {served.url}recognize, which {served.url}openapi.json describes:\n"
        f"    curl -F file=@song.mp3 {served.url}recognize",
        file=sys.stderr,
        flush=True,
    )
    try:
        threading.Event().wait()
    finally:
        served.stop()


def listen(model_path: str | Path, *, host: str, port: int) -> Served:
    """Serve page and endpoint of a model from now on, in a thread of its own."""
    local = _is_loopback(host)
    if not local:
        print(
            f"Whoever reaches {host}:{port} over the network can use this page and make this "
            "machine compute; there is no password. Browsers let a page record only over HTTPS or "
            "from 127.0.0.1.",
            file=sys.stderr,
        )
    blocks = build(model_path)
    app = gradio.mount_gradio_app(
        endpoint.application(model_path, local=local), blocks, path="/",
        server_name=host, server_port=port, max_file_size=f"{endpoint.MEGABYTES}mb",
        run_history=False, enable_monitoring=False, mcp_server=False, pwa=False, ssr_mode=False,
        footer_links=[], css_paths=Path(__file__).with_suffix(".css"),
        theme=gradio.themes.Default(font=FONTS, font_mono=["ui-monospace", "monospace"]),
    )  # fmt: skip
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise PageError(
            f"nothing can listen on {host}:{port}: another program does, or {host} is no address "
            "of this machine; name others with --port and --host"
        ) from error
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)

    def stop():
        server.should_exit = True
        thread.join(timeout=10)
        blocks.close(verbose=False)

    named = f"[{host}]" if family == socket.AF_INET6 else host
    return Served(f"http://{named}:{port}/", stop)


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def build(model_path: str | Path) -> gradio.Blocks:
    """Make the page of an exported model."""
    matplotlib.use("Agg")
    base.style()
    model = recogniser.MusicStyleRecognition(model_path)
    about, words = model.classifier.about, _words()

    def predict(path):
        if path is None:
            return "", gradio.Label(visible=False), ""
        name = Path(path).name
        images = []

        def watch(start, image):
            images.append((start, image))

        try:
            prediction = model.run(path, watch=watch, seconds=endpoint.SECONDS)
        except batch.FAILURES as error:
            return str(words.failure(name, error)), gradio.Label(visible=False), ""
        shares = gradio.Label(prediction["probabilities"], visible=True)
        drawn = words.pictures(_drawn(prediction, images, about["recipe"]))
        return str(words.verdict(name, prediction, about)), shares, str(drawn)

    with gradio.Blocks(
        title="Which genre is this?", analytics_enabled=False, delete_cache=(600, 3600)
    ) as blocks:
        gradio.HTML(str(words.introduction(about)))
        with gradio.Row():
            with gradio.Column(min_width=300):
                clip = gradio.Audio(
                    type="filepath", sources=["upload", "microphone"], buttons=[],
                    label=f"A recording, of at most {endpoint.MEGABYTES} MB",
                )  # fmt: skip
                verdict = gradio.HTML()
            with gradio.Column(min_width=300):
                shares = gradio.Label(
                    label="Probability of each genre", show_heading=False, visible=False
                )
        pictures = gradio.HTML()
        shown = [verdict, shares, pictures]
        clip.change(predict, clip, shown, concurrency_limit=1, api_visibility="private")
    return blocks.queue(max_size=endpoint.WAITING)


def _words():
    """The macros of ``page.html.j2``."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    source = Path(__file__).with_suffix(".html.j2").read_text(encoding="utf-8")
    return environment.from_string(source, {"as_text": formatting.as_text}).module


def _drawn(prediction, images, recipe):
    """Timeline and spectrogram as PNG in data: addresses, each for wide and for narrow screens."""
    line, heard, shown = {}, {}, {"Genre over time": prediction}
    for media, width in WIDTHS.items():
        line[media] = _as_address(figures.timelines(shown, "", width=width))
        heard[media] = _as_address(figures.heard(images, prediction, recipe, width=width))
    return {
        "Probability of each genre in each excerpt of the recording": line,
        "Spectrogram of the recording, and which excerpts spoke for its genre": heard,
    }


def _as_address(figure):
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
