"""What is to be run: profiles of a study, its notebooks, and their parameters."""

import ast
import json
import shlex
from pathlib import Path

import yaml

from genre_utils.workspace import files, model_names

NOTEBOOKS = files.SHIPPED / "notebooks"
PROFILES = NOTEBOOKS / "profiles"
#: What a parameter needs, by the type of its default.
NEEDS = {bool: "true or false", int: "a whole number", float: "a number", list: "a list of texts"}


class StudyError(RuntimeError):
    """The study cannot start or a notebook failed; the message says what to do."""


def read_profile(profile: str) -> tuple[str, dict, str]:
    """Read a profile, by name or file: name, parameters as written, comment that opens it."""
    path = PROFILES / f"{profile}.yaml"
    if not path.exists():
        path = files.typed(profile)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.yaml")))
        raise StudyError(f"unknown profile {profile!r}: choose one of {known}, or name a file.")
    try:
        text = path.read_text(encoding="utf-8")
        parameters = yaml.BaseLoader(text).get_single_data() or {}  # every value stays text
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(parameters, dict):
        raise StudyError(f"{path} must hold PARAMETER: value lines.")
    comment = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
    return path.stem, parameters, " ".join(comment)


def command(profile: str, overrides: dict) -> str:
    """Command that runs a profile, by name or file, with the parameters that were replaced."""
    if (PROFILES / f"{profile}.yaml").exists() and not overrides:
        return f"make study PROFILE={profile}"
    replaced = [word for key, value in overrides.items() for word in ("--set", f"{key}={value}")]
    return shlex.join(["python", "-m", "genre_utils", "study", "--profile", profile, *replaced])


def _known():
    """Numbered notebooks, in order, and the defaults of all parameters that they have."""
    notebooks = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    return notebooks, {key: value for path in notebooks for key, value in defaults(path).items()}


def typed(parameters: dict) -> dict:
    """Parameters, as written, each of the type of its default; refuses what is not, or unknown."""
    _, known = _known()
    if unknown := ", ".join(key for key in parameters if key not in known):
        raise StudyError(f"unknown parameter(s) {unknown}; there are {', '.join(known)}.")
    return {key: _typed(key, value, known[key]) for key, value in parameters.items()}


def _typed(key, value, default):
    try:
        return _of_type(value, default)
    except (KeyError, ValueError, yaml.YAMLError) as error:
        needs = f"{NEEDS.get(type(default), 'a text')}, such as {json.dumps(default)} (its default)"
        raise StudyError(f"{key} is {value!r}: it needs {needs}.") from error


def _of_type(value, default):
    if isinstance(value, str) and isinstance(default, list):
        parts = [*filter(None, map(str.strip, value.split(",")))]
        is_yaml = value.lstrip().startswith("[")
        value = yaml.BaseLoader(value).get_single_data() if is_yaml else parts
    if isinstance(value, dict | None) or isinstance(value, list) != isinstance(default, list):
        raise ValueError("a list in place of a value, or the other way round")
    if isinstance(value, list):
        return [_of_type(one, (default or [""])[0]) for one in value]
    if isinstance(default, bool):
        return yaml.SafeLoader.bool_values[str(value).strip().lower()]
    found = type(default)(str(value))
    json.dumps(found, allow_nan=False)  # ValueError where it is infinite, or no number
    return found


def choose_notebooks(parameters: dict) -> list[Path]:
    """Numbered notebooks that parameters, from `typed`, call for, in order."""
    notebooks, known = _known()
    models = set(parameters.get("MODELS", known["MODELS"]))
    of_notebook_05 = (*model_names.PRETRAINED, *model_names.TEXT)
    there_are = [*model_names.NETWORKS, *model_names.CLASSICAL, *of_notebook_05]
    if not models or models - set(there_are):
        wrong = f"unknown model(s) {', '.join(sorted(models - set(there_are)))}"
        what = wrong if models else "MODELS is empty"
        raise StudyError(f"{what}; there are {', '.join(there_are)}.")
    if (needy := models & {*of_notebook_05}) and not model_names.chosen("05_hybrid", models):
        others = ", ".join(model_names.NETWORKS_OF["05_hybrid"])
        raise StudyError(f"{min(needy)} needs notebook 05: add one of {others} to MODELS.")
    left_out = {name for name in model_names.NETWORKS_OF if not model_names.chosen(name, models)}
    return [path for path in notebooks if path.stem not in left_out]


def preparation(profile: str, overrides: dict) -> dict:
    """Parameters of the notebook that prepares the music, as a study of a profile has them."""
    given = typed(read_profile(profile)[1] | overrides)
    return {k: given.get(k, value) for k, value in defaults(choose_notebooks(given)[0]).items()}


def defaults(notebook: Path) -> dict:
    """Parameters of a notebook and their default values, from its cell tagged ``parameters``."""
    cells = files.read_json(notebook)["cells"]
    tagged = ["".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])]
    lines = ast.parse("\n".join(tagged)).body  # literals only: nothing is executed
    return {line.targets[0].id: ast.literal_eval(line.value) for line in lines}
