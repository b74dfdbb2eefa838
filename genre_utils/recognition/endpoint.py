"""``POST /recognize``: an uploaded recording recognised, answered as the command line answers."""

import asyncio
import contextlib
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import anyio
import fastapi
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from genre_utils.recognition import batch, exported_model
from genre_utils.workspace import files

MEGABYTES = 200  # of a recording, at most
SECONDS = 60.0  # of computing, after which the prediction is of what was heard until then
IDLE_SECONDS = 30.0  # without a byte of an upload, after which it is given up
WAITING = 16  # recordings that wait for their turn; more are turned away
#: What each status code of an error means.
WHY = {
    408: "It stopped coming.",
    422: "It could not be recognised, or was not there.",
    503: "Too many are waiting.",
}
COMPONENTS = "#/components/schemas"  # where OpenAPI looks for definitions
HOSTS = ["127.0.0.1", "localhost", "[::1]"]  # by which a page of this machine alone is asked


class PausedError(Exception):
    """An upload has stopped coming."""


def application(model_path: str | Path, *, local: bool) -> fastapi.FastAPI:
    """Make the endpoint of an exported model; `local` if it serves this machine alone."""
    app = _Endpoint(
        title="Music genre recognition", version=version("genre_utils"),
        docs_url=None, redoc_url=None,  # they would load scripts from elsewhere
    )  # fmt: skip
    recognisers = batch.Recognisers(model_path)
    turns = anyio.CapacityLimiter(batch.usable_cores())
    answers: dict[int | str, dict] = {
        code: {"description": why, "content": _json("failure")} for code, why in WHY.items()
    }
    answers[200] = {"description": "What was predicted.", "content": _json("prediction")}
    answers[413] = {"description": f"It is larger than {MEGABYTES} MB."}

    @app.post(
        "/recognize",
        summary="Recognise the genre of a recording",
        responses=answers,
        max_body_size=MEGABYTES * 1_000_000,
    )
    async def recognize(
        file: Annotated[fastapi.UploadFile, fastapi.File(description="a recording of music")],
        thorough: bool = False,
    ) -> JSONResponse:
        name = file.filename or ""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "upload"
            await anyio.to_thread.run_sync(_store, file.file, path)
            hear = partial(_answer, recognisers, path, name, thorough)
            status, found = await anyio.to_thread.run_sync(hear, limiter=turns)
        return JSONResponse(found, status)

    @app.exception_handler(RequestValidationError)
    async def without_file(request, error) -> JSONResponse:
        return _failure(422, "send the recording as the field 'file' of a form")

    if local:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)
    app.add_middleware(Limits, most=batch.usable_cores() + WAITING)
    return app


class _Endpoint(fastapi.FastAPI):
    """An application whose OpenAPI holds the definitions that its answers refer to."""

    def openapi(self):
        """Describe the endpoint."""
        content = super().openapi()
        content["components"]["schemas"] |= _schemas()
        return content


def _store(upload, path):
    with open(path, "wb") as handle:
        while chunk := upload.read(1 << 20):
            handle.write(chunk)


def _answer(recognisers, path, name, thorough):
    """Status and content of the answer to a recording."""
    try:
        found = recognisers(thorough).run(path, seconds=SECONDS)
    except batch.FAILURES as error:
        return 422, {"audio_file": name, "error": batch.reason(error)}
    return 200, found | {"audio_file": name}


class Limits:
    """ASGI middleware: how many uploads there may be at a time, and how long one may pause."""

    def __init__(self, app, most: int):
        self.app, self.most, self.there = app, most, 0

    async def __call__(self, scope, receive, send):
        """Pass a request on, or answer it with an error."""
        if scope["type"] != "http" or scope["path"] != "/recognize":
            await self.app(scope, receive, send)
            return
        began = refused = False

        async def in_time():
            nonlocal refused
            try:
                return await asyncio.wait_for(receive(), None if began else IDLE_SECONDS)
            except TimeoutError:
                refused = True
                raise PausedError from None

        async def unless_refused(message):
            nonlocal began
            if not refused:
                began = True
                await send(message)

        self.there += 1
        try:
            if self.there > self.most:
                await _failure(503, f"{self.most} are waiting: come back later")(
                    scope, receive, send
                )
                return
            with contextlib.suppress(PausedError):
                await self.app(scope, in_time, unless_refused)
            if refused:
                await _failure(408, f"no byte came for {IDLE_SECONDS:g} s")(scope, receive, send)
        finally:
            self.there -= 1


def _failure(status, why):
    """Answer to what is not recognised; the connection ends, as more may be coming."""
    content = {"audio_file": "", "error": why}
    return JSONResponse(content, status, {"Connection": "close"})


def _json(name):
    return {"application/json": {"schema": {"$ref": f"{COMPONENTS}/{name}"}}}


def _schemas():
    """Definitions of ``schema.json`` where OpenAPI looks for them."""
    text = files.read_json(exported_model.SCHEMA)["$defs"]

    def moved(content):
        if isinstance(content, dict):
            return {
                key: value.replace("#/$defs/", "#/components/schemas/")
                if key == "$ref"
                else moved(value)
                for key, value in content.items()
            }
        return [moved(one) for one in content] if isinstance(content, list) else content

    return {name: moved(one) for name, one in text.items() if name not in ("sidecar", "recipe")}
