import shlex
import subprocess

import pytest
from markdown_blocks import ROOT, blocks, shell_commands

from docs.generate.commands_page import all_commands
from search.driver.local_cluster import local_head
from tracking.front import read_front

README = ROOT / "README.md"


def test_ten_lines_of_python_prune_score_and_export(clone, tiny_data):
    (clone / "data").mkdir()
    (clone / "data" / "mini").symlink_to(tiny_data)
    (block,) = blocks(README, "python")
    exec(compile(block.text, "README.md", "exec"), {})
    assert (clone / "smaller.onnx").stat().st_size > 100_000


def test_make_demo_installs_nothing_twice_and_types_commands_that_there_are(clone):
    shown = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "demo"], cwd=clone, capture_output=True, text=True, check=True
    )
    commands = [shlex.split(line) for line in shown.stdout.splitlines()]
    assert [words[:3] for words in commands] == [[".venv/bin/python", "-m", "search"]] * 2
    for _, _, _, name, *words in commands:
        all_commands()[name].make_context(name, words)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_demo_and_what_follows_it_run_as_they_stand(run_blocks, clone, tmp_path):
    page = tmp_path / "README.md"
    # All but the submission, which has a test of its own below.
    page.write_text(
        "".join(f"```sh\n{block.text}```\n" for block in blocks(README, "sh") if "ray job" not in block.text)
    )
    run_blocks(page, "sh", timeout=2000)
    assert len(read_front(clone / "runs" / "demo").points) == 16
    assert (clone / "bundle" / "SHA256SUMS").is_file()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_submitted_command_runs_on_a_cluster(tiny_data, tiny_baseline, tmp_path, monkeypatch):
    (words,) = (words for words in shell_commands(README) if words[:3] == ["ray", "job", "submit"])
    entrypoint = words[words.index("--") + 1 :]
    here = {"/shared/data/mini": str(tiny_data), "http://mlflow:5000": f"sqlite:///{tmp_path / 'mlflow.db'}"}
    entrypoint = [here.get(word, word.replace("/shared", str(tmp_path))) for word in entrypoint]
    small = ("dense.steps_per_epoch=2", "dense.epochs=1", "finetune.epochs=1", "finetune.steps_per_epoch=2")
    for change in (*small, "sensitivity.enabled=false", "search.trials=1"):
        entrypoint += ["--set", change]
    monkeypatch.chdir(ROOT)
    with local_head(2) as head:
        assert head.submit(*entrypoint) == 0, shlex.join(entrypoint)
    assert len(read_front(tmp_path / "runs" / "demo").points) == 1
