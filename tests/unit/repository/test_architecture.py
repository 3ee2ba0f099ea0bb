"""Rules of the house that no single module can keep: imports, names, tables, documents."""

import importlib
import re
import subprocess
import sys
from collections import Counter, defaultdict
from graphlib import CycleError, TopologicalSorter
from itertools import chain

import click
import grimp
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from classifier.errors import ErrorCode
from cli.commands import COMMANDS, cratesort
from cli.console.exit_codes import Exit
from db.engine import create_engine
from db.migrate import HEAD
from db.tables import metadata
from tests.support.command_line import clean_environment
from tests.support.places import REPOSITORY
from workers.celery_ext.app import CLASSIFY_TASK, RETRAIN_TASK, SWEEP_TASK, TASK_MODULES, app

PACKAGES = ("classifier", "db", "training", "workers", "tasks", "cli")
SOURCES = [path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))]

#: Modules in one folder, beside its sub-packages.
MOST_MODULES = 12

#: Base names of packages that take seconds and hundreds of megabytes to load.
HEAVY = {"tensorflow", "keras", "sklearn", "onnxruntime", "onnx", "pandas", "joblib", "matplotlib"}

#: Of those that are a good part of what a quick command takes.
SLOW = {"celery", "kombu", "redis", "numpy", "soundfile", "rich", "alembic"}


def relative(path):
    return str(path.relative_to(REPOSITORY))


@pytest.fixture
def loaded_by(tmp_path):
    """The top-level modules that a fresh process has loaded when this code is done."""

    def loaded_by(code, *arguments, **settings):
        listing = tmp_path / "modules"
        report = "import sys; open(sys.argv[1], 'w').write(' '.join(sys.modules))"
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\n{report}", listing, *arguments],
            cwd=tmp_path,
            env=clean_environment(tmp_path, settings),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return {name.partition(".")[0] for name in listing.read_text().split()}

    return loaded_by


# Imports


def test_imports_point_one_way_only(tmp_path):
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", lint, "--no-cache"],
        cwd=REPOSITORY,
        env=clean_environment(tmp_path, {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


_SUBMIT = """
import sys
from tasks.producer.submission import submit
submission = submit(sys.argv[2:])
assert submission.enqueued == 1 and submission.broker_away is None, submission
"""


def test_a_producer_that_submits_loads_no_model_library(loaded_by, redis_url, sqlite_url, library):
    sound = next(library.rglob("*.wav"))
    loaded = loaded_by(
        _SUBMIT,
        sound,
        CRATESORT_BROKER_URL=redis_url,
        CRATESORT_DATABASE_URL=sqlite_url,
        CRATESORT_LIBRARY_ROOTS=str(library),
    )
    assert "kombu" in loaded  # it did publish
    assert not loaded & HEAVY


def test_a_producer_without_a_broker_does_not_load_celery(loaded_by, sqlite_url, library):
    sound = next(library.rglob("*.wav"))
    loaded = loaded_by(_SUBMIT, sound, CRATESORT_DATABASE_URL=sqlite_url)
    assert not loaded & (HEAVY | {"celery"})


def test_an_intake_loads_no_model_library(loaded_by):
    assert not loaded_by("import cli.services.intake, tasks.inbox.consumer") & HEAVY


def test_no_task_loads_a_model_library_before_it_has_work(loaded_by):
    assert not loaded_by("import tasks.classify, tasks.sweep, tasks.retrain") & HEAVY


_RUN = """
import sys
from cli.commands import cratesort
cratesort.main(sys.argv[2:], standalone_mode=False)
"""


def test_help_loads_nothing_slow(loaded_by):
    loaded = loaded_by(_RUN, "--help")
    assert "cli" in loaded
    assert not loaded & (HEAVY | SLOW | {"sqlalchemy", "pydantic", "pydantic_settings"})


def test_status_loads_the_database_and_nothing_else_that_is_slow(loaded_by, sqlite_url):
    loaded = loaded_by(_RUN, "status", CRATESORT_DATABASE_URL=sqlite_url)
    assert "sqlalchemy" in loaded
    assert not loaded & (HEAVY | SLOW)


def test_only_the_modules_of_our_lstm_and_of_the_published_one_import_tensorflow():
    importing = re.compile(r"^\s*(?:from|import) (?:tensorflow|keras)\b", re.MULTILINE)
    importers = [relative(path) for path in SOURCES if importing.search(path.read_text())]
    assert importers == ["classifier/model/name_lstm.py", "training/baselines/published_lstm.py"]


# Names


def test_no_module_is_named_utils_helpers_or_the_like():
    drawers = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"}
    assert [relative(path) for path in SOURCES if drawers & {path.stem, path.parent.name}] == []


#: The same in each place: a package's exceptions, a sub-package's command.
ROLES = {"__init__", "__main__", "errors", "command"}


def test_no_two_modules_have_the_same_name():
    named = defaultdict(list)
    for path in SOURCES:
        if path.stem not in ROLES and "versions" not in path.parts:
            named[path.stem].append(relative(path))
    assert {name: paths for name, paths in named.items() if len(paths) > 1} == {}


def test_no_folder_has_more_than_twelve_modules():
    folders = Counter(relative(path.parent) for path in SOURCES if path.stem != "__init__")
    del folders["db/migrations/versions"]  # one more with each change of the tables
    assert {folder: n for folder, n in folders.items() if n > MOST_MODULES} == {}


#: How many parts of a dotted name are told apart: sub-packages, then modules.
@pytest.mark.parametrize("parts", [2, 4], ids=["sub-package", "module"])
def test_there_are_no_circular_imports(parts):
    graph = grimp.build_graph(*PACKAGES)
    imports = defaultdict(set)
    for module in graph.modules:
        importer = ".".join(module.split(".")[:parts])
        for imported in graph.find_modules_directly_imported_by(module):
            imports[importer].add(".".join(imported.split(".")[:parts]))
        imports[importer].discard(importer)
    try:
        list(TopologicalSorter(imports).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


# Tasks


def test_a_worker_imports_every_module_that_defines_a_task():
    defining = [
        f"tasks.{path.stem}"
        for path in sorted((REPOSITORY / "tasks").glob("*.py"))
        if re.search(r"^@\w*\.?(?:shared_)?task\b", path.read_text(), re.MULTILINE)
    ]
    assert sorted(TASK_MODULES) == defining


def test_every_task_has_an_explicit_name():
    for module in TASK_MODULES:
        importlib.import_module(module)
    ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
    unnamed = [
        name
        for name, task in ours.items()
        if name == app.gen_task_name(task.run.__name__, task.__module__)
    ]
    assert {CLASSIFY_TASK, RETRAIN_TASK, SWEEP_TASK} <= set(ours)
    assert unnamed == []


# Database


def test_the_newest_migration_is_the_one_the_code_expects():
    config = Config()
    config.set_main_option("script_location", str(REPOSITORY / "db" / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_migrated_database_has_the_tables_of_the_code(database_url):
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_a_migrated_database_has_the_conditional_indexes_of_the_code(database_url):
    engine = create_engine(database_url)
    option = f"{engine.dialect.name}_where"
    stated = {
        index.name
        for table in metadata.tables.values()
        for index in table.indexes
        if index.dialect_kwargs.get(option) is not None
    }
    with engine.connect() as connection:
        inspector = inspect(connection)
        found = {
            index["name"]
            for index in chain(*map(inspector.get_indexes, metadata.tables))
            if index.get("dialect_options", {}).get(option) is not None
        }
    engine.dispose()
    assert found == stated


# Documents


def test_every_error_code_is_documented_once_and_no_other():
    text = (REPOSITORY / "docs" / "reference" / "error-codes.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| \S.* \| \S.* \|$", text, re.MULTILINE)
    assert Counter(rows) == Counter(map(str, ErrorCode))


def test_the_exit_codes_are_explained_once_each_and_no_other_is():
    text = (REPOSITORY / "docs" / "reference" / "exit-codes.md").read_text()
    rows = re.findall(r"^\| (\d+) \| \S.* \|$", text, re.MULTILINE)
    assert list(map(int, rows)) == sorted(Exit)


# Commands


def leaves(name, command):
    """Every command that does something, by its whole name."""
    if isinstance(command, click.Group):
        for child in command.list_commands(click.Context(command)):
            yield from leaves(f"{name} {child}", command.get_command(click.Context(command), child))
    else:
        yield name, command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_has_the_name_it_is_registered_with(name):
    command = cratesort.get_command(click.Context(cratesort), name)
    assert isinstance(command, click.Command)
    assert command.name == name


@pytest.mark.parametrize(("name", "command"), list(leaves("cratesort", cratesort)))
def test_every_command_and_every_option_has_a_help_text(name, command):
    assert command.help
    unexplained = [
        option.name
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert unexplained == []


def test_no_source_file_is_longer_than_400_lines() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: n for name, n in lengths.items() if n > 400} == {}
