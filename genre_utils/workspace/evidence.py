"""Keys of stored results: what the code that decides them means, not how it is written.

A definition means its syntax tree, with the meaning of this package's definitions for their names.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from genre_utils.workspace import files

PACKAGE = "genre_utils"
#: What decides each kind of stored result: definitions of this package, which bring all they use.
DECIDES = {
    "composed corpus": ("data.composer.collection.write_track", "data.composer.artists.track_plan"),
    "fingerprint": ("data.fingerprint.of_audio",),
    "features": ("features.audio.load_clip", "features.audio.normalise_loudness",
                 "features.extraction.frame_features", "features.recipes.excerpt_frames",
                 "features.summarising.summarise", "features.summarising.summary_columns"),
    "features of a clip": ("features.extraction.frame_features",),
    "augmentation": ("features.augmentation.augment",),
    "spectrogram features": ("features.extraction.from_log_mel", "features.recipes.excerpt_frames",
                             "features.summarising.summarise",
                             "features.summarising.summary_columns"),
    "network": ("models.training.train_fold", "models.training.predict",
                "models.training_data.Data", "models.cross_validation._temperature"),
    "classical": ("models.classical.predict_folds", "models.classical.Data"),
    "embedding": ("features.audio.load_clip", "features.audio.normalise_loudness",
                  "features.patches.cut", "features.patches.listen"),
    "pretrained": ("models.pretrained.predict_folds", "models.pretrained.Data"),
    "text": ("models.text.predict_folds", "models.text.Data"),
    "search": ("models.tuning._one_more", "models.tuning.inner_folds"),
    "ablation": ("experiments.ablation._measured",),
    "leakage": ("experiments.leakage._measured",),
    "robustness": ("experiments.robustness._measured",),
    "denoising": ("experiments.denoising._measured",),
    "transfer": ("experiments.transfer._prepare", "experiments.transfer._measured"),
    "learning_curve": ("experiments.learning_curve._measured",),
    "pretraining": ("experiments.pretraining._measured",),
    "exported model": ("recognition.exporting.export_model",),
    "answer": ("recognition.recogniser.MusicStyleRecognition",),
    "described recording": ("recognition.similarity._describe",
                            "recognition.exported_model.MusicStyleClassifier"),
    "pages": ("report.html.render_study",),
}  # fmt: skip
#: Parts of a syntax tree that say nothing of what is computed, or differ between Pythons.
SILENT = {"ctx", "kind", "type_comment", "type_params", "returns", "annotation"}
#: Meanings that do not depend on the way to them, by module and name.
_known: dict[tuple[str, str], str] = {}


@dataclass
class _Module:
    """Definitions of a module by name, and what its imports from this package are called in it."""

    name: str
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)


@cache
def code(*results: str) -> str:
    """Key of the code that decides some kinds of results, of `DECIDES`."""
    decided = [definition for result in results for definition in DECIDES[result]]
    return files.sha256([_meaning_of(f"{PACKAGE}.{definition}") for definition in decided])


def of_source(text: str) -> str:
    """Key of Python source, such as a notebook's, and all definitions here that it makes use of."""
    tree = ast.parse(text)
    module = _Module("", imports=dict(_imported(tree, "")))
    return files.sha256(_plain(tree, module, frozenset(), (), []))


def _source(module: str) -> Path | None:
    """File of a module; of a package, the stub that says where the names come from it hands on."""
    place = files.ROOT.joinpath(*module.split("."))
    found = (place.with_suffix(".py"), place / "__init__.pyi", place / "__init__.py")
    return next((path for path in found if path.is_file()), None)


class _Unannotated(ast.NodeTransformer):
    """Takes the annotations of variables away; those of a class's fields may be asked for."""

    def visit_ClassDef(self, node):
        node.body = [n if isinstance(n, ast.AnnAssign) else self.visit(n) for n in node.body]
        return node

    def visit_AnnAssign(self, node):
        return (
            ast.copy_location(ast.Assign([node.target], node.value), node) if node.value else None
        )


@cache
def _module(name: str) -> _Module | None:
    path = _source(name)
    if path is None:
        return None
    tree = _Unannotated().visit(ast.parse(path.read_text(encoding="utf-8")))
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    module = _Module(name, imports=dict(_imported(tree, package)))
    for statement in tree.body:
        for defined in _defined(statement):
            module.definitions.setdefault(defined, []).append(statement)
    return module


def _defined(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement of a module gives a meaning to."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for node in (node for target in targets for node in ast.walk(target)):
            if isinstance(node, ast.Name):
                yield node.id


def _imported(tree: ast.AST, package: str) -> Iterator[tuple[str, str]]:
    """What each import from this package, at whatever depth, is called, and where it is from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            origin = ".".join(filter(None, [package if node.level else "", node.module]))
            if origin.split(".")[0] == PACKAGE:
                for name in node.names:
                    yield name.asname or name.name, f"{origin}.{name.name}"


def _resolve(path: str) -> tuple[_Module, str] | None:
    """Module and name of the definition that a dotted path leads to, through what hands it on."""
    place, _, name = path.rpartition(".")
    module = _module(place) if place not in ("", __name__) else None
    if module is None:
        return None
    if name in module.definitions:
        return module, name
    onward = module.imports.get(name, path)  # a module that a package hands on leads to itself
    return _resolve(onward) if onward != path else None


def _meaning_of(path: str) -> str:
    found = _resolve(path)
    if found is None:
        raise LookupError(f"{path} is no definition of this package")
    return _meaning(*found, (), [])


def _meaning(module: _Module, name: str, above: tuple, reached: list[int]) -> str:
    """Hash of what a definition means; one that leads back to itself is told by how far above.

    `above` leads here; what of it is led back to is `reached`: such a meaning is not `_known`.
    """
    here = module.name, name
    if here in above:
        reached.append(above.index(here))
        return f"{len(above) - reached[-1]} above"
    if here in _known:
        return _known[here]
    statements = module.definitions[name]
    within: list[int] = []
    places = [list(_defined(statement)).index(name) for statement in statements]
    meaning = [_plain(one, module, frozenset(), (*above, here), within) for one in statements]
    digest = files.sha256(places, meaning)
    outside = [place for place in within if place < len(above)]
    reached += outside
    if not outside:
        _known[here] = digest
    return digest


def _plain(node, module: _Module, local: frozenset, above: tuple, reached: list[int]):
    """Nested lists of what a piece of syntax says, with the meaning in place of each name."""
    if isinstance(node, list):
        said = [one for one in node if not _says_nothing(one)]
        return [_plain(one, module, local, above, reached) for one in said]
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Name | ast.Attribute):
        found = _resolve(_path(node, module, local, above))
        if found:
            return ["@", _meaning(*found, above, reached)]
    silent = SILENT
    if isinstance(node, ast.AnnAssign):
        silent = silent - {"annotation"}  # of a field, which may be asked for it
    elif node in module.definitions.get(getattr(node, "name", ""), ()):
        silent = silent | {"name"}
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        local = local | _bound(node)
    there = (pair for pair in ast.iter_fields(node) if pair[1] is not None and pair[1] != [])
    said = [(name, value) for name, value in there if name not in silent]
    return [
        type(node).__name__,
        *([name, _plain(value, module, local, above, reached)] for name, value in said),
    ]


def _path(node: ast.Name | ast.Attribute, module: _Module, local: frozenset, above: tuple) -> str:
    """Where a name leads that is not bound in the function that it stands in; or empty."""
    if isinstance(node, ast.Attribute):
        inner = node.value
        if isinstance(inner, ast.Name) and inner.id in module.imports and inner.id not in local:
            return f"{module.imports[inner.id]}.{node.attr}"
        if isinstance(inner, ast.Attribute) and (path := _path(inner, module, local, above)):
            return f"{path}.{node.attr}"  # of a module that a package hands on
        return ""
    here = f"{module.name}.{node.id}"
    if node.id in local or (
        isinstance(node.ctx, ast.Store) and (module.name, node.id) not in above[-1:]
    ):
        return ""
    return module.imports.get(node.id) or here


def _bound(function: ast.FunctionDef | ast.Lambda) -> frozenset[str]:
    """Arguments, variables and inner functions of a function."""
    nodes = [node for node in ast.walk(function) if node is not function]
    given = {node.arg for node in nodes if isinstance(node, ast.arg)}
    kept = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    inner = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return frozenset(given | kept | inner)


def _says_nothing(node) -> bool:
    """Whether a statement is a docstring, another bare text, or an import."""
    bare = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    text = bare and isinstance(node.value.value, str)
    return text or isinstance(node, ast.Import | ast.ImportFrom)
