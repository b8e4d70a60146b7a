"""Commands come from the files of one folder, in the order in which a user needs them."""

import subprocess
import sys

from search.cli.collect import commands

VERBS = [
    "mini",
    "check-data",
    "train",
    "sweep",
    "space",
    "sensitivity",
    "front",
    "pick",
    "export",
    "verify",
    "describe",
]


def test_every_file_is_a_command_in_the_order_in_which_it_is_needed():
    assert [name for name, _ in commands()] == VERBS


def test_a_command_runs_the_function_of_its_files_name_and_has_an_example():
    for name, function in commands():
        assert function.__name__ == name.replace("-", "_")
        assert f"Example: python -m search {name} " in (function.__doc__ or "")


def test_the_list_of_commands_loads_neither_torch_nor_ray():
    code = (
        "import sys, search.__main__; print(sorted({'torch', 'ray', 'optuna', 'mlflow', 'faiss'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
