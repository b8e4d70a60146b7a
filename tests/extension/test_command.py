"""What CONTRIBUTING says of a new command: its file in search/cli/commands/ is all that it takes."""


def test_a_new_file_is_a_new_command_with_help_and_errors_like_all_others(copy) -> None:
    copy.add("hello.py", to="search/cli/commands/hello.py")
    said = copy.process("-m", "search", "hello", "search/sweeps/demo.toml", "--name", "Ada")
    assert (said.returncode, said.stdout) == (0, "hello Ada, this is mini_resnet\n"), said.stderr
    refused = copy.process("-m", "search", "hello", "none.toml")
    assert (refused.returncode, refused.stderr) == (2, "error: sweep file none.toml does not exist\n")
    listed = copy.run("-m", "search", "--help").splitlines()
    last = next(line for line in reversed(listed) if line.strip())
    assert last.split(maxsplit=1) == ["hello", "Greet someone, and name the network of a sweep file."]
