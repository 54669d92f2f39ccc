"""The package as a whole: public names and paths, and what importing it costs."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
from fastnn import _checks

HEAVY = (
    *("numba", "numpy", "sklearn", "rich", "pandas", "typer", "safetensors", "matplotlib", "pyarrow"),
    *("pydantic", "optuna", "onnx", "h5py", "PIL", "jinja2", "tensorboardX"),
)
# Every path that users may import from, in one place: a name that goes from here breaks their programs.
PUBLIC = {
    "fastnn": (
        "MLP Model load Activation Loss Trainer DivergenceError EarlyStopping Callback Checkpoint EMA "
        "SWA find_lr JsonLog TensorBoard RecordBoundary RecordHistograms Stream tune Optimizer SGD "
        "RMSprop Adagrad Adadelta Adam AdamW NAdam RAdam Lion LBFGS History MLPClassifier "
        "MLPRegressor __version__"
    ),
    "fastnn.activations": "NAMES Activation as_activation",
    "fastnn.data": (
        "Dataset Encoder encoder_from_dict name_of take ArrayEncoder ArrayStream Stream TableStream "
        "BUILT_IN TASKS read_dataset read_table leaks TableEncoder Target guess_task Split split_rows "
        "read_arrays ImageEncoder read_images TextEncoder read_text read_source"
    ),
    "fastnn.estimators": "MLPClassifier MLPRegressor",
    "fastnn.evaluation": "evaluate_predictions worst_rows",
    "fastnn.exchange": (
        "to_onnx from_onnx to_state_dict from_state_dict save_torch to_sklearn from_sklearn from_keras"
    ),
    "fastnn.history": "Epoch History",
    "fastnn.losses": "LOSSES Loss as_loss",
    "fastnn.metrics": "Metric as_metric",
    "fastnn.network": "MLP Predictor load",
    "fastnn.optimizers": "OPTIMIZERS Optimizer as_optimizer Adam SGD",
    "fastnn.plots": (
        "learning_curve confusion_matrix calibration Calibration predicted_against_true residuals "
        "decision_boundary boundary_animation histograms first_layer_weights permutation_importance "
        "Picture run_pictures save_pictures"
    ),
    "fastnn.schedules": (
        "SCHEDULES Schedule as_schedule Step Exponential InverseScaling Cosine OneCycle WarmUp "
        "Plateau Adaptive"
    ),
    "fastnn.training": (
        "Trainer DivergenceError EarlyStopping Callback Checkpoint EMA SWA JsonLog TensorBoard "
        "RecordBoundary RecordHistograms"
    ),
    "fastnn.tuning": "LRCurve PRUNERS Recipe Space Trial TuneResult default_space find_lr tune",
}


def test_public_names():
    for name in fastnn.__all__:
        assert getattr(fastnn, name) is not None
    assert set(fastnn.__all__) == set(dir(fastnn)) == set(PUBLIC["fastnn"].split())
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = fastnn.Nonsense


@pytest.mark.parametrize("path", PUBLIC)
def test_public_paths(path):
    module = importlib.import_module(path)
    for name in PUBLIC[path].split():
        assert getattr(module, name) is not None


LAZY = sorted(
    path for path in Path(fastnn.__file__).parent.rglob("__init__.py") if "_HOMES" in path.read_text()
)


@pytest.mark.parametrize("path", LAZY, ids=lambda path: path.parent.name)
def test_type_checkers_see_the_lazy_names(path):
    """The block under TYPE_CHECKING says of every name the home that it is imported from at run time."""
    tree = ast.parse(path.read_text())
    homes = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_HOMES"
    )
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname: "." * (node.level - 1) + node.module for node in block.body for alias in node.names}
    assert seen == homes


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import fastnn", ()),
        ("import fastnn; fastnn.MLP; fastnn.Trainer; fastnn.load", ("numba", "numpy")),
    ],
)
def test_import_is_light(code, allowed):
    """Modules are counted, not seconds: what is not imported costs nothing on any machine."""
    check = f"{code}; import sys; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout
    assert eval(loaded) == [name for name in HEAVY if name in allowed]


def test_no_thread_is_started_at_import():
    check = "import fastnn, threading; fastnn.Trainer; print(threading.active_count()); import numba;"
    check += "numba.threading_layer()"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert run.stdout == "1\n"
    assert "not initialized" in run.stderr


def test_types_are_shipped():
    assert (Path(fastnn.__file__).parent / "py.typed").exists()


ROOT = Path(__file__).resolve().parents[1]  # fastnn may be installed elsewhere
# PyPI's "fastnn", another project: to be installed, with extras or a version, or as the name of this one.
FOREIGN = re.compile(
    r"""(?mx)
    \b (?:install | (?:uv|poetry|pdm)[ ]add) \b (?:[ \t]+ [^\s&|;]+)*? [ \t]+ ["']? fastnn (?![\w/-] | \.\w)
    | \b fastnn (?: \\?\[ | [ \t]* (?: [=~><!]= | [<>] ) [ \t]* \d )
    | ^ [ \t]* (?: "(?:name|project)": | name[ ]= ) [ ] ["'] fastnn ["']
    """
)


def test_nothing_names_a_distribution_that_is_not_ours():
    paths = [
        path
        for folder in ("fastnn", "tests", "scripts", "benchmarks", ".github", ".ci")
        for path in (ROOT / folder).rglob("*")
        if not {"env", "html", "results", "__pycache__"}.intersection(path.relative_to(ROOT).parts)
    ]
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8", errors="ignore")
        for path in (*paths, *ROOT.iterdir())
        if path.is_file() and path.name != Path(__file__).name
    }
    assert {"pyproject.toml", "README.md", ".github/CONTRIBUTING.md"} <= {
        *map(Path.as_posix, map(Path, texts))
    }
    found = {name: FOREIGN.search(text) for name, text in texts.items()}
    assert {name: match.group() for name, match in found.items() if match} == {}
    assert f'\nname = "{_checks.DISTRIBUTION}"' in texts["pyproject.toml"]


@pytest.mark.parametrize(
    ("text", "is_foreign"),
    [
        ("pip install fastnn", True),
        ("pip install --upgrade fastnn.", True),
        ("pip install -U numpy 'fastnn'", True),
        ('pip install "fastnn[plots]"', True),
        (r'pip install "fastnn\[plots\]"', True),
        ("uv add fastnn", True),
        ("fastnn>=0.1", True),
        ('[project]\nname = "fastnn"', True),
        ('  "project": "fastnn",', True),
        ('pip install "fastnn-core[plots]"', False),
        ("pip install --upgrade fastnn-core", False),
        ('pip install ".[all]" && fastnn train digits', False),
        ("pip uninstall fastnn", False),
        ("pip install tbb\nfastnn train", False),
        ('app = Typer(\n    name="fastnn",', False),
        ("what this would add to fastnn", False),
    ],
)
def test_foreign_names_are_recognised(text, is_foreign):
    assert bool(FOREIGN.search(text)) == is_foreign
