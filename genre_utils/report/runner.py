"""Run the study: each notebook by papermill, in its own process, skipping what is unchanged."""

from pathlib import Path

from genre_utils.report import disk, execution, profiles, stages
from genre_utils.workspace import evidence, files


def run(profile: str, overrides: dict, *, start: str = "", force: bool = False) -> Path:
    """Run the study of a profile and render its reports.

    Parameters
    ----------
    profile : str
        A name in ``notebooks/profiles/``, or the path of a YAML file of parameters.
    overrides : dict
        Parameters that replace those of the profile.
    start : str
        Number of the notebook from which on everything is run again, for example ``"03"``.
    force : bool
        Run every notebook and train every fold again.

    Returns
    -------
    Path
        The report's ``index.html``.

    Raises
    ------
    StudyError
        If the profile or a parameter is unknown, or a notebook fails.
    """
    name, given, about = profiles.read_profile(profile)
    parameters = {"PROFILE": name, "STUDY_DIR": name, **given, **overrides}
    notebooks = profiles.choose_notebooks(parameters)
    study = files.reports_folder() / parameters["STUDY_DIR"]
    if start and not any(path.name.startswith(start) for path in notebooks):
        raise profiles.StudyError(
            f"--from {start}: no such notebook; there are {profiles.names(notebooks)}."
        )
    if why := disk.unwritable(study):
        raise profiles.StudyError(why)
    try:
        with disk.alone(study):
            print(f"Study {name!r}: {len(notebooks)} notebooks into {study}\n{about}", flush=True)
            disk.mend(study)
            if force:
                stages.forget_folds(study)
            key = _run_notebooks(notebooks, parameters, study, start, force)
            return _render(study, parameters["PROFILE"], key)
    except OSError as error:
        if why := disk.unwritable(study, str(error)):
            raise profiles.StudyError(why) from error
        raise


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


def _render(study, name, key):
    """Render the reports, unless they show just what is there already."""
    from genre_utils.report import html

    template = sorted(p for p in (Path(__file__).parent / "template").iterdir())
    executed = sorted((study / "notebooks").glob("*.ipynb"))  # they may have run again as they are
    shown = [p.read_bytes() for p in (*template, *executed) if p.is_file()]
    key = files.sha256(key, evidence.code("pages"), *shown)
    if stages.is_done(study, "reports", key):
        return study / "index.html"
    print("Rendering the reports ...", flush=True)
    index = html.render_study(study, profile=name)
    outputs = {p.name: files.file_md5(p) for p in sorted(study.glob("*.html"))}
    files.write_json(study / "stages" / "reports.json", {"key": key, "outputs": outputs})
    return index


def headline(study: Path) -> str:
    """Headline table of a finished study, as text."""
    from genre_utils.plots import formatting

    results = files.read_json(study / "results.json")
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
