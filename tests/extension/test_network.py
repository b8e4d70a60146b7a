"""What CONTRIBUTING says of a new network, done in a copy of the tree: its file and its row are all that it takes."""

from pathlib import Path

HERE = Path(__file__).parent
NETWORK = "retrieval/networks/network.py"


def test_a_network_is_its_file_and_its_row(copy) -> None:
    copy.add("plain_network.py", to="retrieval/networks/plain_net.py")
    its_import = "from retrieval.networks.plain_net import PlainNet\n"
    copy.insert(NETWORK, before="from retrieval.networks.pooling import", line=its_import)
    copy.insert(NETWORK, before='    "resnet18": partial', line='    "plain_net": PlainNet,\n')
    assert copy.run(HERE / "network_check.py").splitlines() == ["(2, 8)", "[16, 32, 64]"]
