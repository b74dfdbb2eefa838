"""Command line: ``python -m genre_utils study`` and ``python -m genre_utils audit``."""

import argparse
import sys
from pathlib import Path

import yaml


def main(arguments=None) -> int:
    """Run a command; return its exit code (0 fine, 1 failed, 2 wrong usage)."""
    options = _parser().parse_args(arguments)
    return options.command(options)


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
    study.set_defaults(command=_study)
    audit = commands.add_parser("audit", help="say which files of a folder would be used")
    audit.add_argument("folder", help="folder of GENRE/clip files")
    audit.set_defaults(command=_audit)
    return parser


def _assignment(text):
    key, equals, value = text.partition("=")
    if not equals or not key.isupper():
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE, such as EPOCHS=10")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is not a YAML value") from error


def _study(options):
    from genre_utils import study

    try:
        index = study.run(
            options.profile, dict(options.set), start=options.start, force=options.force
        )
    except study.StudyError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on at the fold where it was.", file=sys.stderr)
        return 130
    print(f"\n{study.headline(index.parent)}\n\nReport: {index}")
    return 0


def _audit(options):
    from genre_utils import corpus

    try:
        folder = corpus.locate("folder", Path(options.folder).expanduser().resolve())
        tracks = corpus.audit(corpus.find_tracks("folder", folder), folder, min_seconds=6.0)
    except corpus.CorpusError as error:
        print(error, file=sys.stderr)
        return 1
    aside = tracks[tracks["status"] != "used"]
    for track in aside.itertuples():
        print(f"set aside  {track.path!a}: {track.reason}")
    used = tracks[tracks["status"] == "used"]
    for genre, rows in used.groupby("genre"):
        print(f"used  {genre!a}: {len(rows)} tracks by {rows['artist'].nunique()} artists")
    print(f"{len(used)} of {len(tracks)} files would be used, {len(aside)} set aside.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
