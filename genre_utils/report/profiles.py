"""What is to be run: profiles of a study, its notebooks, and their parameters."""

import ast
from pathlib import Path

import nbformat
import yaml

from genre_utils.workspace import files, model_names

NOTEBOOKS = files.ROOT / "notebooks"
PROFILES = NOTEBOOKS / "profiles"


class StudyError(RuntimeError):
    """The study cannot start or a notebook failed; the message says what to do."""


def read_profile(profile: str) -> tuple[str, dict, str]:
    """Read a profile, by its name or file: name, parameters, and the comment that opens it."""
    path = PROFILES / f"{profile}.yaml"
    if not path.exists():
        path = Path(profile)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.yaml")))
        raise StudyError(f"unknown profile {profile!r}: choose one of {known}, or name a file.")
    text = path.read_text(encoding="utf-8")
    try:
        parameters = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise StudyError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(parameters, dict):
        raise StudyError(f"{path} must hold PARAMETER: value lines.")
    comment = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
    return path.stem, parameters, " ".join(comment)


def description(name: str) -> str:
    """Comment of a profile of this study; empty if `name` is that of a file of the user's own."""
    return read_profile(name)[2] if (PROFILES / f"{name}.yaml").exists() else ""


def choose_notebooks(parameters: dict) -> list[Path]:
    """Numbered notebooks that the parameters call for, in order; refuses unknown parameters."""
    notebooks = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    known = {key: value for path in notebooks for key, value in defaults(path).items()}
    unknown = [key for key in parameters if key not in known]
    if unknown:
        raise StudyError(
            f"unknown parameter(s) {', '.join(unknown)}; there are {', '.join(known)}."
        )
    models = set(parameters.get("MODELS") or known["MODELS"])
    there_are = [*model_names.NETWORKS, *model_names.CLASSICAL]
    if models - set(there_are):
        wrong = ", ".join(sorted(models - set(there_are)))
        raise StudyError(f"unknown model(s) {wrong}; there are {', '.join(there_are)}.")
    left_out = {name for name in model_names.NETWORKS_OF if not model_names.chosen(name, models)}
    return [path for path in notebooks if path.stem not in left_out]


def preparation(profile: str, overrides: dict) -> dict:
    """Parameters of the notebook that prepares the music, as a study of a profile has them."""
    given = read_profile(profile)[1] | overrides
    first = choose_notebooks(given)[0]
    return {key: given.get(key, value) for key, value in defaults(first).items()}


def defaults(notebook: Path) -> dict:
    """Parameters of a notebook and their default values, from its cell tagged ``parameters``."""
    cells = nbformat.read(notebook, as_version=4).cells
    tagged = [c.source for c in cells if "parameters" in c.metadata.get("tags", [])]
    lines = ast.parse("\n".join(tagged)).body  # literals only: nothing is executed
    return {line.targets[0].id: ast.literal_eval(line.value) for line in lines}
