"""Run a study: its notebooks one after the other, without those that are done, and its pages."""

import shutil

from genre_utils.plots import formatting
from genre_utils.report import disk, execution, profiles, stages
from genre_utils.workspace import evidence, files
from genre_utils.workspace.study_folder import StudyFolder


def run(profile: str, overrides: dict, *, start: str = "", force: bool = False) -> StudyFolder:
    """Run the study of a profile, by name or YAML file, and render its reports.

    A CORPUS_DIR in `overrides` may be in the current folder, too. Everything is run again from
    the notebook of the number `start` on; by `force`, folds as well.
    """
    name, given, about = profiles.read_profile(profile)
    parameters = profiles.typed({"PROFILE": name, "STUDY_DIR": name, **given, **overrides})
    words = overrides.get("CORPUS_DIR")  # notebooks would look in the data folder alone
    if words and (place := files.music_folder(words)) != files.data_folder() / files.typed(words):
        parameters["CORPUS_DIR"] = str(place)
    notebooks = profiles.choose_notebooks(parameters)
    study, reports = StudyFolder(parameters["STUDY_DIR"]), files.reports_folder()
    if reports.is_relative_to(study.path.resolve()):
        why = f"it needs a folder of its own in {reports}, such as {name} (its default)"
        raise profiles.StudyError(f"STUDY_DIR is {parameters['STUDY_DIR']!r}: {why}.")
    if start and not any(path.name.startswith(start) for path in notebooks):
        known = ", ".join(path.stem for path in notebooks)
        raise profiles.StudyError(f"--from {start}: no such notebook; there are {known}.")
    if why := disk.unwritable(study):
        raise profiles.StudyError(why)
    try:
        with disk.alone(study):
            what = f"Study {name!r}: {len(notebooks)} notebooks into {study.path}"
            print(f"{what}\n{about}", flush=True)
            disk.mend(study)
            if force:
                shutil.rmtree(study.folds_done(), ignore_errors=True)
            key = _run_notebooks(notebooks, parameters, study, start, force)
            _render(study, parameters["PROFILE"], key, about, profiles.command(profile, overrides))
    except OSError as error:
        if why := disk.unwritable(study, str(error)):
            raise profiles.StudyError(why) from error
        raise
    return study


def _run_notebooks(notebooks, parameters, study, start, again):
    """Run those that are not done, and all after the first of them; return the last one's key."""
    key = ""
    for number, path in enumerate(notebooks, 1):
        key = stages.stage_key(path, parameters, key)
        again = again or (start != "" and path.name >= start)
        label = f"[{number}/{len(notebooks)}] {path.stem}"
        if not again and stages.is_done(study, path.stem, key):
            print(f"{label}: unchanged since the last run", flush=True)
            continue
        execution.run_notebook(path, parameters, study, key, label)
        again = True  # what comes after reads what this one wrote
    return key


def _render(study, profile, key, about, command):
    """Render the reports, unless they show just what is there already."""
    from genre_utils.report import html  # slow to load

    template = sorted(path for path in html.TEMPLATE.iterdir() if path.is_file())
    shown = [path.read_bytes() for path in (*template, *study.notebooks)]  # some may have run again
    key = files.sha256(key, evidence.code("pages"), about, command, *shown)
    if not stages.is_done(study, "reports", key):
        print("Rendering the reports ...", flush=True)
        written = html.render_study(study, profile=profile, about=about, command=command)
        stages.record(study, "reports", key, written)


def headline(study: StudyFolder) -> str:
    """Headline table of a finished study, as text."""
    results = study.results
    corpus = results["corpus"]
    music = "composed music" if corpus["synthetic"] else f"corpus {corpus['name']}"
    width = 2 + max(len(name) for name in results["models"])
    lines = [
        f"{corpus['tracks']} tracks, {corpus['artists']} artists, {music}",
        f"{'model':<{width}}{'accuracy of tracks':<24}{'F1':<7}{'of excerpts':<13}training",
    ]
    for name, model in results["models"].items():
        low, high = model["ci95"]["accuracy"]
        accuracy = f"{model['accuracy']:.2f} [{low:.2f} to {high:.2f}]"
        lines.append(
            f"{name:<{width}}{accuracy:<24}{model['f1']:<7.2f}{model['excerpt_accuracy']:<13.2f}"
            f"{formatting.duration(model['training_seconds'])}"
        )
    return "\n".join(lines)
