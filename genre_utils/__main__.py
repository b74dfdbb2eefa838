"""Command line: ``python -m genre_utils`` with study, audit, recognize, similar or page."""

import argparse
import errno
import json
import os
import signal
import sys
from pathlib import Path

import yaml

from genre_utils.workspace import parallel


def main(arguments=None) -> int:
    """Run a command; return its exit code (0 fine, 1 failed, 2 wrong usage)."""
    options = _parser().parse_args(arguments)
    try:
        if getattr(options, "dask", None):
            _use_cluster(options.dask)
        status = options.command(options)
        sys.stdout.flush()
        return status
    except parallel.ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        if error.filename or error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's last flush
        if error.errno == errno.ENOSPC:  # otherwise whoever read has seen enough
            why = "no space is left on the disk of the output, or of the cache"
            print(f"Nothing more can be written: {why}.", file=sys.stderr)
        return 1


def _parser():
    parser = argparse.ArgumentParser(prog="python -m genre_utils", description=__doc__)
    commands = parser.add_subparsers(required=True)
    study = commands.add_parser("study", help="run the notebooks of a profile and their reports")
    study.add_argument("--profile", default="demo", help="name or YAML file (default: demo)")
    study.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=_assignment,
        help="replace a parameter of the profile; the value is read as YAML",
    )
    study.add_argument(
        "--from",
        dest="start",
        default="",
        metavar="NN",
        help="run this notebook and all after it again",
    )
    study.add_argument("--force", action="store_true", help="run and train everything again")
    _add_dask(study)
    study.set_defaults(command=_study)
    audit = commands.add_parser("audit", help="say which files of a folder would be used")
    audit.add_argument("folder", help="folder of GENRE/clip files")
    audit.add_argument(
        "--format",
        choices=["text", "json"],
        default="text",
        help="lines to read (default), or one JSON object with every file",
    )
    _add_dask(audit)
    audit.set_defaults(command=_audit)
    recognize = commands.add_parser("recognize", help="say which genre recordings are")
    recognize.add_argument(
        "audio", nargs="+", metavar="FILE|FOLDER|-", help="recordings; - is sound on standard input"
    )
    recognize.add_argument(
        "--model",
        metavar="PATH",
        help="exported model, models/NAME.npz of a study (default: the one of this package)",
    )
    recognize.add_argument(
        "--format", choices=["json", "csv"], default="json", help="JSON Lines (default) or CSV"
    )
    recognize.set_defaults(command=_recognize)
    similar = commands.add_parser("similar", help="say which recordings of a folder sound alike")
    similar.add_argument("audio", metavar="FILE", help="recording to find others like")
    similar.add_argument(
        "--library",
        required=True,
        metavar="FOLDER",
        help="music to look in; what is heard of it is kept in the cache folder",
    )
    similar.add_argument(
        "--count", type=_positive, default=10, metavar="N", help="how many to tell (default: 10)"
    )
    similar.add_argument(
        "--format", choices=["json", "csv"], default="json", help="JSON Lines (default) or CSV"
    )
    similar.set_defaults(command=_similar)
    page = commands.add_parser("page", help="serve a page to try recognition in a browser")
    page.add_argument("--model", metavar="PATH", help="as of recognize")
    page.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
    page.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, which this machine alone reaches)",
    )
    page.set_defaults(command=_page)
    return parser


def _add_dask(parser):
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        default=os.environ.get(parallel.ADDRESS),
        help="decode, compute features and train folds on the Dask cluster whose scheduler is at "
        "ADDRESS, such as tcp://192.168.0.5:8786; its workers need this environment and, under the "
        "same paths, the music; start them with `dask worker ADDRESS --nworkers=-1 --nthreads 1`",
    )


def _use_cluster(address):
    """Check that a Dask cluster answers; from here on, notebooks and all, work is done there."""
    os.environ[parallel.ADDRESS] = address
    with parallel.connect() as client:
        count = len(client.nthreads())
    print(f"Dask cluster at {address}, workers: {count}", file=sys.stderr, flush=True)


def _assignment(text):
    key, equals, value = text.partition("=")
    if not equals or not key.isupper():
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE, such as EPOCHS=10")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is not a YAML value") from error


def _positive(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return int(text)


def _study(options):
    from genre_utils.report import profiles, runner

    signal.signal(signal.SIGTERM, _stop)  # as Ctrl-C: with a message, and nothing left running
    try:
        index = runner.run(
            options.profile, dict(options.set), start=options.start, force=options.force
        )
    except profiles.StudyError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print("\nStopped. The same command goes on at the fold where it was.", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    print(f"\n{runner.headline(index.parent)}\n\nReport: {index}")
    return 0


def _stop(number, _):
    raise KeyboardInterrupt(number)


def _audit(options):
    from genre_utils.data import auditing, corpora, errors

    try:
        folder = corpora.locate("folder", Path(options.folder).expanduser().resolve())
        found = corpora.find_tracks("folder", folder)
        tracks = auditing.audit(found, folder, min_seconds=6.0)
    except (errors.CorpusError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    report = auditing.audit_report(found, tracks)
    if options.format == "json":
        name = str(folder).encode(errors="backslashreplace").decode()
        print(json.dumps({"folder": name, **report}, indent=1, allow_nan=False))
    else:
        print("\n".join(_audit_lines(report)))
    return 0 if report["totals"]["used"] else 1


def _audit_lines(report):
    """Lines of an audit; names and reasons in ASCII, so that no terminal stumbles over them."""
    for file in report["files"]:
        if file["status"] != "used":
            yield f"set aside  {file['path']!a}: {ascii(file['reason'])[1:-1]}"
    for genre, count in report["totals"]["genres"].items():
        artists = f"{count['artists']} known artists, {count['unknown']} tracks of unknown ones"
        yield f"used  {genre!a}: {count['tracks']} tracks, {artists}"
    totals = report["totals"]
    yield (
        f"Artists: of {totals['artist_from_list']} files from tracks.csv, of "
        f"{totals['artist_from_tags']} from their tags, of {totals['artist_unknown']} unknown."
    )
    for warning in report["warnings"]:
        yield f"Warning: {ascii(warning)[1:-1]}"
    yield (
        f"{totals['used']} of {totals['files']} files would be used, {totals['set_aside']} set "
        f"aside, of these {totals['near_duplicates']} as near-duplicates."
    )


def _recognize(options):
    for name in parallel.THREADS:  # files are recognised side by side, each on one thread
        os.environ.setdefault(name, "1")
    from genre_utils.recognition import batch, exported_model, recogniser

    names, failed = batch.find(options.audio), 0
    if not names:
        print("There is no file to recognise in it.", file=sys.stderr)
        return 1
    model = Path(options.model).expanduser() if options.model else recogniser.PRETRAINED
    threads = batch.usable_cores()
    answers = batch.recognise(names, model, threads=threads)
    try:
        lines = None
        if options.format == "csv":
            labels = exported_model.read_sidecar(model)["labels"]
            lines = batch.CsvLines(sys.stdout, labels)
        for number, answer in enumerate(answers, 1):
            if lines:
                lines.write(answer)
            else:
                print(batch.json_line(answer))
            sys.stdout.flush()
            failed += "error" in answer
            told = answer.get("error") or answer["predicted_label"]
            about = f"[{number}/{len(names)}] {answer['audio_file']!a}: {ascii(told)[1:-1]}"
            print(about, file=sys.stderr, flush=True)
    except exported_model.ModelError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    if failed:
        print(f"{failed} of {len(names)} files could not be recognised.", file=sys.stderr)
    return 1 if failed else 0


def _similar(options):
    for name in parallel.THREADS:  # as for recognize
        os.environ.setdefault(name, "1")
    from genre_utils.recognition import batch, similarity

    if not Path(options.library).is_dir():
        print(f"{options.library!a} is no folder of music.", file=sys.stderr)
        return 2
    try:
        answers, failed = similarity.search(
            options.audio,
            options.library,
            options.count,
            threads=batch.usable_cores(),
        )
        similarity.write(sys.stdout, answers, options.format)
    except similarity.SimilarityError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. What was heard so far is in the cache.", file=sys.stderr)
        return 130
    for path, why in failed.items():
        print(f"left out  {path!a}: {ascii(why)[1:-1]}", file=sys.stderr)
    return 1 if failed else 0


def _page(options):
    from genre_utils.recognition import exported_model, recogniser

    try:
        from genre_utils.recognition import page
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        print("The page needs Gradio: pip install -r requirements-page.txt", file=sys.stderr)
        return 1
    model = Path(options.model).expanduser() if options.model else recogniser.PRETRAINED
    try:
        page.serve(model, host=options.host, port=options.port)
    except exported_model.ModelError as error:
        print(error, file=sys.stderr)
        return 2
    except page.PageError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
    return 130


if __name__ == "__main__":
    sys.exit(main())
