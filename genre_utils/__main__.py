"""Run the study of music genre recognition, audit music, predict genres, find similar music."""

import argparse
import errno
import importlib.util
import io
import json
import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

from genre_utils.workspace import files, parallel

JUDGED = (
    "Judged as --profile {profile} would use them: clips of {CLIP_SECONDS:g} s, excerpts of "
    "{EXCERPT_SECONDS:g} s, {FOLDS} folds by {GROUP_BY}."
)


PROGRAM = "genre-utils" if Path(sys.argv[0]).stem == "genre-utils" else "python -m genre_utils"


def main(arguments=None) -> int:
    """Run a command; return its exit code (0 fine, 1 failed, 2 wrong usage)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever its encoding, no name stops it
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        files.quiet_libraries()
        if options.command is not _study:  # whose notebooks run in processes of their own
            files.silence_decoders()
        files.calm_progress()
        if getattr(options, "dask", None):
            _use_cluster(options.dask)
        status = options.command(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt as stop:
        print(f"\nStopped.{options.stopped}", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except (parallel.ClusterError, files.PlaceError) as error:
        _tell(error)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "genre_utils").startswith("genre_utils"):
            raise
        _tell(files.installation(error))
        return 1
    except OSError as error:
        if error.filename or error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's last flush
        if error.errno == errno.ENOSPC:  # otherwise whoever read has seen enough
            why = "no space is left on the disk of the output, or of the cache"
            print(f"Nothing more can be written: {why}.", file=sys.stderr)
        return 1


def _tell(message):
    """Say something on stderr, in one line."""
    print(files.readable(str(message)), file=sys.stderr, flush=True)


def _parser():
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.set_defaults(stopped="")  # what a command adds when it was stopped
    commands = parser.add_subparsers(required=True)
    _add_study(commands.add_parser("study", help="run the notebooks of a profile, and its report"))
    _add_audit(commands.add_parser("audit", help="tell which files of a folder would be used"))
    _add_train(commands.add_parser("train", help="make a recogniser of one's own music"))
    _add_recognize(commands.add_parser("recognize", help="predict the genre of recordings"))
    _add_restore_tags(commands.add_parser("restore-tags", help="undo recognize --write-tags"))
    _add_similar(commands.add_parser("similar", help="find recordings that sound like another"))
    _add_compose(commands.add_parser("compose", help="compose a piece by rule, no recording"))
    _add_page(commands.add_parser("page", help="serve a page to try recognition in a browser"))
    return parser


def _add_study(parser):
    add = parser.add_argument
    _add_profile(parser, "what to run")
    what = "run this notebook and all after it again"
    add("--from", dest="start", default="", metavar="NN", help=what)
    add("--force", action="store_true", help="run every notebook and train every fold again")
    _add_dask(parser)
    goes_on = " The same command goes on at the fold where it was."
    parser.set_defaults(command=_study, stopped=goes_on)


def _add_profile(parser, why, default="demo"):
    add = parser.add_argument
    add("--profile", default=default, help=f"{why}: a name or a YAML file (default: {default})")
    what = "replace a parameter of the profile; of lists, put commas between the elements"
    add("--set", action="append", default=[], metavar="KEY=VALUE", type=_assignment, help=what)


def _add_audit(parser):
    parser.add_argument("folder", help="folder of GENRE/clip files")
    _add_profile(parser, "judge the files as the study of this profile would use them")
    what = "lines to read (default), or one JSON object with every file"
    parser.add_argument("--format", choices=["text", "json"], default="text", help=what)
    _add_dask(parser)
    parser.set_defaults(command=_audit)


def _add_train(parser):
    parser.add_argument("folder", help="folder of GENRE/clip files")
    what = "name of the study in the reports folder (default: that of the folder)"
    parser.add_argument("--name", metavar="NAME", default="", help=what)
    _add_profile(parser, "take clips, excerpts and folds as this study does", "own")
    _add_dask(parser)
    goes_on = " The same command goes on where it was: what was heard is in the cache."
    parser.set_defaults(command=_train, stopped=goes_on)


def _add_dask(parser):
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        default=files.cluster_address(),
        help="decode, compute features and train folds on the Dask cluster whose scheduler is at "
        "ADDRESS, such as tcp://192.168.0.5:8786; its workers need this environment and, under the "
        "same paths, the music; start them with `dask worker ADDRESS --nworkers=-1 --nthreads 1`",
    )


def _add_recognize(parser):
    what = "recordings; - is sound on standard input"
    parser.add_argument("audio", nargs="+", metavar="FILE|FOLDER|-", help=what)
    _add_model(parser)
    what = "hear all of a long recording, instead of a few windows of it, evenly spread"
    parser.add_argument("--thorough", action="store_true", help=what)
    output = parser.add_mutually_exclusive_group()
    _add_format(output)
    what = "one JSON object per line, as by default"
    output.add_argument("--jsonl", dest="format", action="store_const", const="json", help=what)
    output.add_argument("--m3u", metavar="GENRE", help="a playlist of the files of one genre")
    what = "what the tags of each file say of its genre, and what the model would write"
    output.add_argument("--tags", action="store_true", help=what)
    what = "have the tags tell the genre of which the model is sure; without --yes it only tells"
    output.add_argument("--write-tags", action="store_true", help=what)
    what = "write the tags of --write-tags; a list of what they said before is kept"
    parser.add_argument("--yes", action="store_true", help=what)
    parser.set_defaults(command=_recognize, stopped=" What was heard so far is in the cache.")


def _add_restore_tags(parser):
    what = "list that recognize --write-tags has left"
    parser.add_argument("backup", metavar="LIST", type=files.typed, help=what)
    parser.set_defaults(command=_restore_tags)


def _add_similar(parser):
    parser.add_argument("audio", metavar="FILE", help="recording to find others like")
    what = "music to look in; its descriptions are kept in the cache folder"
    parser.add_argument("--library", required=True, metavar="FOLDER", type=files.typed, help=what)
    many, what = parser.add_mutually_exclusive_group(), "how many to list (default: 10)"
    many.add_argument("--count", type=_number, default=10, metavar="N", help=what)
    what = "a playlist (M3U8): the recording, then N that are near, of several artists and albums"
    most = partial(_number, most=500)
    many.add_argument("--playlist", type=most, metavar="N", help=what)
    what = "file for the playlist, NAME.m3u8 (default: standard output)"
    parser.add_argument("-o", "--output", type=files.typed, metavar="FILE", help=what)
    _add_format(parser)
    kept = " What was described so far is in the cache."
    parser.set_defaults(format=None, command=_similar, stopped=kept)


def _add_compose(parser):
    add = parser.add_argument
    add("genre", metavar="GENRE", help="such as jazz; an unknown one lists those there are")
    what = "another seed is another piece, by another fictitious artist (default: 0)"
    add("--seed", type=partial(_number, least=0), default=0, metavar="N", help=what)
    what = "length of the piece (default: 30)"
    seconds = partial(_number, least=5, most=600)
    add("--seconds", type=seconds, default=30, metavar="S", help=what)
    what = "a .wav, .flac, .ogg, or score (.mid); default: GENRE-SEED.wav or GENRE-typical.wav"
    add("-o", "--output", metavar="FILE", type=files.typed, help=what)
    what = "compose N pieces, from that seed on, and keep the one that is most typical of the genre"
    add("--like", type=partial(_number, most=1000), default=1, metavar="N", help=what)
    what = "for --like: models/NAME.npz of a study of composed music (default: the best of demo)"
    add("--model", metavar="PATH", type=files.typed, help=what)
    parser.set_defaults(command=_compose)


def _add_page(parser):
    _add_model(parser)
    what = "port to listen on (default: 7860)"
    parser.add_argument("--port", type=partial(_number, most=65_535), default=7860, help=what)
    what = "address to listen on (default: 127.0.0.1, which this machine alone reaches)"
    parser.add_argument("--host", default="127.0.0.1", help=what)
    parser.set_defaults(command=_page)


def _add_model(parser):
    what = "exported model, models/NAME.npz of a study (default: the one of this package)"
    parser.add_argument("--model", metavar="PATH", type=files.typed, help=what)


def _add_format(parser):
    what = "JSON Lines (default) or CSV"
    parser.add_argument("--format", choices=["json", "csv"], default="json", help=what)


def _use_cluster(address):
    """Check that a Dask cluster answers; from here on, notebooks and all, work is done there."""
    os.environ[files.CLUSTER] = address
    with parallel.connect() as client:
        count = len(client.nthreads())
    print(f"Dask cluster at {address}, workers: {count}", file=sys.stderr, flush=True)


def _assignment(text):
    key, equals, value = text.partition("=")
    if not equals or not key.isupper():
        raise argparse.ArgumentTypeError(f"{text!r} is no KEY=VALUE in capitals, such as EPOCHS=10")
    return key, value


def _number(text, most=None, least=1):
    if not text.isdecimal() or not least <= int(text) <= (most or int(text)):
        limit = f"to {most}" if most else "up"
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} {limit}")
    return int(text)


def _study(options):
    for name in _lacking("papermill", "tensorflow"):  # before hours of work
        raise ModuleNotFoundError(name=name)
    from genre_utils.report import profiles, runner

    if lacking := _lacking("tinysoundfont", "musicnn"):
        line = f"pip install --no-deps -r '{files.SHIPPED / 'requirements-nodeps.txt'}'"
        _tell(f"Composed music and pretrained_tuned need {', '.join(lacking)} as well: {line}")

    signal.signal(signal.SIGTERM, _stop)  # as Ctrl-C: with a message, and nothing left running
    try:
        again = {"start": options.start, "force": options.force}
        study = runner.run(options.profile, dict(options.set), **again)
    except profiles.StudyError as error:
        print(*map(files.readable, f"\n{error}".split("\n")), sep="\n", file=sys.stderr)
        return 1
    print(f"\n{runner.headline(study)}\n\nReport: {study.page('index')}")
    return 0


def _lacking(*modules):
    return [name for name in modules if importlib.util.find_spec(name) is None]


def _stop(number, _):
    raise KeyboardInterrupt(number)


def _audit(options):
    from genre_utils.data import auditing, corpora
    from genre_utils.data.track_lists import CorpusError
    from genre_utils.report import profiles

    try:
        judged = profiles.preparation(options.profile, {"GENRES": [], **dict(options.set)})
        seconds = {"min_seconds": judged["EXCERPT_SECONDS"], "clip_seconds": judged["CLIP_SECONDS"]}
        study = {key.lower(): judged[key] for key in ("GENRES", "GROUP_BY", "FOLDS", "SEED")}
        folder = corpora.locate("folder", files.music_folder(options.folder).resolve())
        found = corpora.find_tracks("folder", folder)
        tracks = auditing.audit(found, folder, **seconds)
        report = auditing.audit_report(found, tracks, **study)
        report["judged"] = JUDGED.format(profile=options.profile, **judged)
    except (CorpusError, profiles.StudyError, OSError) as error:
        _tell(error)
        return 1
    if options.format == "json":
        name = str(folder).encode(errors="backslashreplace").decode()
        print(json.dumps({"folder": name, **report}, indent=1, allow_nan=False))
    else:
        print("\n".join(auditing.report_lines(report)))
    return 0 if report["totals"]["used"] else 1


def _train(options):
    from genre_utils.data.track_lists import CorpusError
    from genre_utils.recognition import learning
    from genre_utils.report import disk, profiles
    from genre_utils.workspace.study_folder import StudyFolder

    signal.signal(signal.SIGTERM, _stop)
    try:
        settings = profiles.preparation(options.profile, {"GENRES": [], **dict(options.set)})
        chosen = ("CLIP_SECONDS", "EXCERPT_SECONDS", "FOLDS", "GROUP_BY", "SEED", "GENRES")
        folder = files.music_folder(options.folder).resolve()
        if not folder.is_dir():
            raise CorpusError(f"'{folder}' is no folder of music.")
        study = StudyFolder(options.name or folder.name, make=True)
        print(f"A recogniser of '{folder}' into {study.path}; about a second per track.")
        with disk.alone(study):
            disk.mend(study)
            learned = learning.learn(
                folder, study, **{key.lower(): settings[key] for key in chosen}
            )
    except (CorpusError, profiles.StudyError, OSError) as error:
        _tell(error)
        return 1
    model, place = learned.path, str(folder)
    print(f"\n{learned}\n\nTo use it:  {PROGRAM} recognize FILE --model '{model}'")
    changed = "".join(f" --set '{key}={value}'" for key, value in options.set)
    print(
        f"To compare it with networks and read a report:  {PROGRAM} study --profile "
        f"{options.profile} --set 'CORPUS_DIR={place}' --set STUDY_DIR={study.name}{changed}"
    )
    return 0


def _one_thread_each():
    for name in parallel.THREADS:  # libraries read them when loaded
        os.environ.setdefault(name, "1")


def _recognize(options):
    _one_thread_each()
    from genre_utils.recognition import batch, exported_model, output

    if options.yes and not options.write_tags:
        print("--yes goes with --write-tags.", file=sys.stderr)
        return 2
    names = batch.find(options.audio)
    if not names:
        print("There is no file to recognise in it.", file=sys.stderr)
        return 1
    model = options.model or exported_model.PRETRAINED
    try:
        labels = exported_model.read_sidecar(model)["labels"]
        threads, count = batch.usable_cores(), output.Count()
        heard = batch.recognise(names, model, threads=threads, thorough=options.thorough)
        writer = output.writer(options, labels)
        heard = output.with_progress(heard, len(names))
        for name, (prediction, remembered) in zip(names, heard, strict=True):
            writer.write(name, prediction)
            sys.stdout.flush()
            count.add(prediction, remembered)
    except (exported_model.ModelError, output.OutputError) as error:
        _tell(error)
        return 2
    _tell(count)
    if options.write_tags:
        _tell(_tags_written(writer.backup))
    return 1 if count.failed else 0


def _tags_written(backup):
    if backup is None:
        return "Nothing was written: add --yes to write the tags."
    if not backup.files:
        return "No tag had to be written."
    return (
        f"What the tags said before is in '{backup.path}'; to put it back: {PROGRAM} "
        f"restore-tags '{backup.path}'"
    )


def _restore_tags(options):
    from genre_utils.features import genre_tags

    try:
        done = genre_tags.restore(options.backup)
    except (genre_tags.TagError, OSError) as error:
        _tell(error)
        return 2
    wrong = {path: why for path, why in done.items() if why}
    for path, why in wrong.items():
        _tell(f"left as it is  '{path}': {why}")
    print(f"{len(done) - len(wrong)} of {len(done)} files have their genre back.")
    return 1 if wrong else 0


def _similar(options):
    _one_thread_each()
    from genre_utils.recognition import batch, similarity

    if wrong := _wrong_search(options):
        _tell(wrong)
        return 2
    what, threads = (options.audio, str(options.library)), batch.usable_cores()
    try:
        if options.playlist:
            from genre_utils.recognition import playlist

            found, failed = playlist.similar(*what, options.playlist, threads=threads)
            playlist.write(found, options.output)
        else:
            found, failed = similarity.search(*what, options.count, threads=threads)
            similarity.write(sys.stdout, found, options.format or "json")
    except similarity.SimilarityError as error:
        _tell(error)
        return 1
    for path, why in failed.items():
        _tell(f"left out  '{path}': {why}")
    return 1 if failed else 0


def _wrong_search(options):
    """Say what is wrong with a search for similar music before it begins; empty if nothing."""
    if not options.library.is_dir():
        return f"'{options.library}' is no folder of music."
    if options.playlist and options.format:
        return "--format does not go with --playlist, which is M3U8."
    if options.output and not options.playlist:
        return "-o goes with --playlist."
    if options.output and options.output.suffix.lower() != ".m3u8":
        return f"'{options.output}' is no name of a playlist in UTF-8: it has to end in .m3u8."
    return ""


def _compose(options):
    _one_thread_each()
    from genre_utils.data.composer import single
    from genre_utils.data.track_lists import CorpusError
    from genre_utils.recognition.exported_model import ModelError

    genre, first = options.genre, options.seed
    name = f"{genre}-{first if options.like == 1 else 'typical'}.wav"
    path = options.output or files.typed(name)
    try:
        plans = [single.piece_plan(genre, seed=first + n) for n in range(options.like)]
        single.check_suffix(path)
        typical = _typicality(options.model, genre) if options.like > 1 else None
        with files.atomic_write(path) as temporary:  # before anything is played
            plan = plans[0]
            if typical:
                probability, plan = single.most_typical(plans, options.seconds, typical)
                _tell(f"Most typical: {plan.track_id}, probability of {genre} {probability:.3f}.")
            single.write_piece(plan, temporary, options.seconds)
    except (CorpusError, ModelError) as error:
        _tell(error)
        return 2
    except ModuleNotFoundError as error:
        if error.name != "tinysoundfont":
            raise
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        _tell(f"'{path}' cannot be written: {error.strerror or error}.")
        return 1
    told = f"{path}: {single.title(plan)}, by {plan.artist.name}, {options.seconds} s"
    print(files.readable(told))
    _tell(f"{single.statement(plan)}.")
    return 0


def _typicality(model, genre):
    """Function from a recording to the probability that a model of composed music gives a genre."""
    from genre_utils.recognition import exported_model, recogniser

    path = exported_model.of_composed_music(model)
    listener = recogniser.MusicStyleRecognition(path)
    if genre not in (labels := listener.classifier.about["labels"]):
        raise exported_model.ModelError(f"{path} knows no {genre}, but {', '.join(labels)}.")
    _tell(f"Asked how typical each piece is: {path}")
    return lambda piece: listener.run(piece)["probabilities"][genre]


def _set_up_gradio(uploads):
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = uploads
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"  # it asks itself whether it is there


def _page(options):
    from genre_utils.recognition import exported_model

    model = options.model or exported_model.PRETRAINED
    with tempfile.TemporaryDirectory() as uploads:  # deleted when the page is stopped
        _set_up_gradio(uploads)
        from genre_utils.recognition import page

        try:
            page.serve(model, host=options.host, port=options.port)
        except (exported_model.ModelError, page.PageError) as error:
            _tell(error)
            return 2 if isinstance(error, exported_model.ModelError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
