"""Imports go down, each dependency has one door, heavy doors open late. And these tests can fail."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "forgetaudit"

ROWS = [
    {"errors", "gaps", "user_code", "values", "wording"},
    {"policy", "inference", "paths", "temporaries"},
    {"checkpoints", "data", "logs", "stats", "report", "plan", "plugins", "progress"},
    {"models", "tasks", "judge", "config", "budget"},
    {"engine", "weights", "renderers"},
    {"remedies"},
    {"audits"},
    {"planning"},
    {"cli", "api", "integrations"},
    {"__init__", "__main__"},
]
# Where a dependency may be imported, as prefixes of module paths.
DOORS = {
    "typer": ["cli."],
    "rich": ["cli.", "renderers.terminal"],
    "safetensors": ["checkpoints."],
    "datasets": ["data.readers", "data.features", "data.writing"],
    "transformers": ["models.", "integrations."],
    "peft": ["models."],
    "timm": ["models."],
    "lm_eval": ["integrations."],
    "torch": [
        "stats.", "models.", "engine.", "tasks.", "remedies.", "audits.", "integrations.", "data.batches",
        "data.batch_parts", "checkpoints.torch_file", "checkpoints.torch_archive", "checkpoints.state_dicts",
        "checkpoints.write_torch",
    ],
}  # fmt: skip


def modules() -> dict[str, str]:
    return {
        ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): path.read_text(
            "utf-8"
        )
        for path in SRC.rglob("*.py")
    }


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def row_of(package: str) -> int:
    return next((row for row, names in enumerate(ROWS) if package in names), -1)


def upward_imports(sources: dict[str, str]) -> list[str]:
    found = []
    for module, source in sources.items():
        home = module.split(".")[0]
        for name in imported(source):
            parts = name.split(".")
            if parts[0] != "forgetaudit":
                continue
            target = parts[1] if len(parts) > 1 else "__version__"
            if target in (home, "__version__"):
                continue
            if row_of(target) < 0 or row_of(home) < 0 or row_of(target) >= row_of(home):
                found.append(f"{module} imports {name}")
    return found


def circles(sources: dict[str, str]) -> list[str]:
    """Modules that import each other, also late, also through others; one line a circle. Tarjan's components."""
    edges = {module: own_imports(source, set(sources)) - {module} for module, source in sources.items()}
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[str] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for target in sorted(edges[module]):
            if target not in number:
                visit(target)
            if target in stack:
                lowest[module] = min(lowest[module], lowest[target])
        if lowest[module] == number[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                found.append(", ".join(sorted(stack[at:])))
            del stack[at:]

    for module in sources:
        if module not in number:
            visit(module)
    return found


def own_imports(source: str, known: set[str]) -> set[str]:
    """The modules of the package that a module imports, wherever in it; not the package itself, whose names are lazy."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("forgetaudit."):
            home = (node.module or "").removeprefix("forgetaudit.")
            inner = {f"{home}.{alias.name}" for alias in node.names} & known
            found |= inner or {home}
    return found & known


def back_doors(sources: dict[str, str]) -> list[str]:
    return [
        f"{module} imports {name}"
        for module, source in sources.items()
        for name in imported(source)
        if name.split(".")[0] in DOORS
        and not any(f"{module}.".startswith(door) for door in DOORS[name.split(".")[0]])
    ]


def test_imports_go_down_or_stay_at_home() -> None:
    assert upward_imports(modules()) == []


def test_no_module_imports_itself_through_others() -> None:
    assert circles(modules()) == []


def test_the_circle_test_can_fail() -> None:
    planted = modules() | {
        "stats.one": "from forgetaudit.stats.other import x",
        "stats.other": "def late():\n    from forgetaudit.stats import one",
    }
    assert circles(planted) == ["stats.one, stats.other"]


def test_every_dependency_has_one_door() -> None:
    assert back_doors(modules()) == []


def test_the_import_test_can_fail() -> None:
    planted = modules() | {
        "stats.planted": "from forgetaudit.engine.stream import Stream",
        "report.planted": "import forgetaudit.stats.cka",
        "nowhere.planted": "import forgetaudit.errors",
    }
    assert len(upward_imports(planted)) == 3


def test_the_door_test_can_fail() -> None:
    planted = modules() | {
        "report.planted": "def late():\n    import torch",
        "stats.planted": "from rich import box",
    }
    assert len(back_doors(planted)) == 2


def heavy_after(code: str) -> set[str]:
    """Which heavy packages a fresh interpreter holds after `code`."""
    program = f"{code}\nimport sys\nprint('torch' in sys.modules, 'datasets' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    torch, datasets = run.stdout.split()[-2:]
    return {name for name, held in [("torch", torch), ("datasets", datasets)] if held == "True"}


@pytest.mark.parametrize(
    "argv", [["--help"], ["--version"], ["compare", "--help"], ["compare", "--nonsense"], ["compare"]]
)
def test_words_alone_wake_neither_torch_nor_datasets(argv: list[str]) -> None:
    assert heavy_after(f"from forgetaudit.cli import main; main({argv})") == set()


def test_importing_the_package_wakes_neither_torch_nor_datasets() -> None:
    assert heavy_after("import forgetaudit") == set()


def test_the_lightness_test_can_fail() -> None:
    assert heavy_after("import torch") == {"torch"}
