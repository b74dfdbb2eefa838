"""What people join the project by is valid, and names commands, tools and files that there are."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from genre_utils.workspace import files

ROOT = files.ROOT
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
TEXTS = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", ".github/pull_request_template.md")
KINDS = {"markdown", "input", "textarea", "dropdown", "checkboxes"}
#: The package of a tool that is called otherwise.
PACKAGES = {"lint-imports": "import-linter"}


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def parsed(name):
    return yaml.safe_load(text(name))


WORKFLOW = parsed(".github/workflows/tests.yml")
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
HOOKS = parsed(".pre-commit-config.yaml")["repos"][0]["hooks"]
PROJECT = tomllib.loads(text("pyproject.toml"))["project"]


def targets():
    """Names of what `make` makes, but for files."""
    return set(re.search(r"^\.PHONY: (.+)$", text("Makefile"), re.M)[1].split())


def made(commands):
    """Names after `make` in what is to be typed."""
    return set(re.findall(r"\bmake ([a-z]+)", commands))


def typed(name):
    """Code of a Markdown file, inline or in blocks."""
    return "\n".join(re.findall(r"```.*?```|`[^`]+`", text(name), re.S))


def test_the_workflow_runs_what_there_is():
    commands = "\n".join(step["run"] for step in STEPS if "run" in step)
    assert made(commands) >= {"check", "test"} and made(commands) <= targets()
    for path in re.findall(r"\btests/\S+|\S+\.txt\b", commands):
        assert (ROOT / path).exists(), path
    [profile] = re.findall(r"--profile (\S+)", commands)
    assert (ROOT / "notebooks" / "profiles" / f"{profile}.yaml").exists()


def test_the_workflow_may_read_alone_and_knows_no_secret():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in WORKFLOW["jobs"].values())
    assert "secrets." not in text(".github/workflows/tests.yml")
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)
    assert WORKFLOW["concurrency"]["group"]


def test_the_workflow_has_every_python_that_the_project_takes():
    first, after = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
    wanted = [f"3.{minor}" for minor in range(int(first), int(after))]
    assert WORKFLOW["jobs"]["linux"]["strategy"]["matrix"]["python"] == wanted


def test_what_check_runs_and_leaves_out_is_there():
    lists = re.findall(r"^(?:CHECKED|LONG) := ((?:.+\\\n)*.+)$", text("Makefile"), re.M)
    run, left_out = (paths.replace("\\\n", " ").split() for paths in lists)
    assert "tests/test_joining.py" in run
    assert [path for path in run + left_out if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", TEXTS)
def test_texts_name_what_there_is(name):
    assert made(typed(name)) <= targets()
    for target in re.findall(r"\]\(([^)#:]+)\)", text(name)):
        assert (ROOT / name).parent.joinpath(target).exists(), target
    for path in re.findall(r"\b(?:tests|notebooks)/[\w/]+\.(?:py|ipynb)", text(name)):
        assert (ROOT / path).exists(), path


def test_readme_leads_to_them():
    assert {"(CONTRIBUTING.md)", "(CHANGELOG.md)"} <= set(re.findall(r"\(\S+\)", text("README.md")))


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_a_form_is_one(form):
    content = parsed(form.relative_to(ROOT))
    assert (
        {"name", "description", "body"} <= set(content) <= {"name", "description", "body", "labels"}
    )
    asked = [part for part in content["body"] if part["type"] != "markdown"]
    names = [part["id"] for part in asked]
    assert asked and len(set(names)) == len(names)
    for part in content["body"]:
        assert part["type"] in KINDS
        assert part["attributes"]["value" if part["type"] == "markdown" else "label"]
    assert any(part.get("validations", {}).get("required") is True for part in asked)


def test_both_forms_are_there():
    assert {path.stem for path in FORMS} == {"bug", "question"}


def test_the_citation_is_of_this_version_and_of_the_paper():
    citation = parsed("CITATION.cff")
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["title"]
    assert citation["version"] == PROJECT["version"]
    assert text("LICENSE").startswith(f"{citation['license']} License")
    [author] = citation["authors"]
    assert author["name"] in text("LICENSE")
    [paper] = citation["references"]
    assert paper["type"] == "article" and paper["authors"][0]["family-names"] == "Guo"
    for field in ("title", "doi", "year"):
        assert str(paper[field]) in text("README.md"), field


def test_the_changelog_has_versions_from_new_to_old():
    found = re.findall(r"^## \[(\d+)\.(\d+)\.(\d+)\] - (\S+)$", text("CHANGELOG.md"), re.M)
    assert len(found) == len(re.findall("^## ", text("CHANGELOG.md"), re.M))
    versions = [tuple(map(int, numbers)) for *numbers, _ in found]
    assert versions == sorted(versions, reverse=True) and len(set(versions)) == len(versions)
    assert PROJECT["version"] in {".".join(map(str, version)) for version in versions}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d|unreleased", when) for *_, when in found)
    assert [when for *_, when in found].count("unreleased") <= 1
    groups = re.findall(r"^### (.+)$", text("CHANGELOG.md"), re.M)
    assert set(groups) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_hooks_use_the_tools_of_the_environment():
    required = set(re.findall(r"^([\w-]+)==", text("requirements.txt"), re.M))
    for hook in HOOKS:
        folder, _, tool = hook["entry"].split()[0].rpartition("/")
        assert folder == ".venv/bin" and hook["language"] == "system"
        assert PACKAGES.get(tool, tool) in required, tool
    assert len({hook["id"] for hook in HOOKS}) == len(HOOKS)


def matched(hook, path):
    """Whether a hook of pre-commit is for a file."""
    out = re.search(hook.get("exclude", "^$"), path)
    return bool(re.search(hook["files"], path)) and not out


def test_each_notebook_is_stripped_by_one_hook_and_left_as_it_is():
    hooks = [hook for hook in HOOKS if "/nbstripout" in hook["entry"]]
    notebooks = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("notebooks/*.ipynb")]
    assert all(sum(matched(hook, path) for hook in hooks) == 1 for path in notebooks)
    for hook in hooks:
        command = [sys.executable, "-m", *hook["entry"].rpartition("/")[2].split(), "--verify"]
        command += [path for path in notebooks if matched(hook, path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
