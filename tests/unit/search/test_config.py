from pathlib import Path

import pytest

from search.config import load_config

SWEEPS = Path(__file__).parents[3] / "search" / "sweeps"


def changed(file: Path, old: str, new: str) -> Path:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return file


@pytest.mark.parametrize("file", sorted(SWEEPS.glob("*.toml")), ids=lambda file: file.name)
def test_every_sweep_that_comes_along_loads(file):
    assert load_config(file).search.trials > 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch_size = 16\nlearning_rate = 3e-3", "batch_sise = 16", "unknown key 'dense.batch_sise': did you mean"),
        ("[search]", "[serach]", "unknown key 'serach': did you mean 'search'"),
        ('preset = "filters"', 'preset = "filters"\nmethods = ["plpf"]', "unknown method 'plpf'.*'plfp'"),
        ('preset = "filters"', 'preset = "filters"\nlevel = [-0.1, 0.5]', "greater than or equal to 0"),
        ('preset = "filters"', 'preset = "filters"\nlevel = [0.0, 1.0]', "less than 1"),
        ('name = "mini_resnet"', 'name = "mini_resnte"', "unknown network 'mini_resnte'.*mini_resnet"),
        ("trials = 4", "trials = 0", "search.trials: .*greater than or equal to 1, not 0"),
        ("trials = 4", 'trials = "many"', "search.trials: .*valid integer.*not 'many'"),
        ("pairs = 25", "pairs = ", "is not TOML"),
        ("[search]", "[resources]\ngpus = 1.5\n[search]", r"resources: .*gpus is 1\.5"),
        ("learning_rate = 3e-3", "learning_rate = inf", "dense.learning_rate: .*finite number"),
        ('name = "tiny"', 'name = ".."', "name: .*pattern"),
        ("image_size = 64\n\n[network]", 'image_size = 64\nreport_on = "val"\n\n[network]', "select_on and report_on"),
        (
            "image_size = 64\n\n[network]",
            'image_size = 64\npattern = "vari"\n\n[network]',
            "data: pattern 'vari' .*'veri'",
        ),
        ('name = "mini_resnet"', 'name = "mini_resnet"\nweights = "imagenet"', "no imagenet weights"),
        ('preset = "filters"', 'preset = "filtres"', "unknown preset 'filtres'.*nearest: 'filters'"),
        ("trials = 4", 'trials = 4\nobjectives = ["speedup"]', "search: objectives are .*: a quality first"),
        ("trials = 4", 'trials = 4\nobjectives = ["map"]', "search: objectives are .*, then one or two costs"),
        ("trials = 4", "trials = 4\nobjectives = []", "search: objectives are .*: a quality first"),
        ("trials = 4", 'trials = 4\nobjectives = ["map", "speedpu"]', "search: unknown objective 'speedpu'.*'speedup'"),
        (
            "trials = 4",
            'trials = 4\nobjectives = ["map_asymmetric", "speedup"]',
            "no trial reports the objective 'map_asymmetric': it needs evaluation.gallery",
        ),
        ("trials = 4", 'trials = 4\nobjectives = ["map", "search_ms"]', "it needs an evaluation.index other than"),
        ("trials = 4", 'trials = 4\nobjectives = ["map", "seconds"]', "no trial reports the objective 'seconds'"),
        ("[search]", '[loss]\nname = "reid"\n[search]', "network.head is 'plain' and loss.name 'reid'"),
        ('preset = "filters"', 'preset = "filters"\nname = "x"', "unknown key 'space.name'"),
        ('preset = "filters"', 'preset = "filters"\nmethods = ["l1", "l1"]', "each once"),
        (
            'preset = "filters"',
            'preset = "filters_pq"\nsparsity = {penalty = 1e-4}',
            "space.sparsity: a penalty of 0.0001 needs penalised_epochs of at least 1, got 0",
        ),
        ('preset = "filters"', 'preset = "trained_pq"\nsparsity = {penalty = inf}', "space.sparsity.penalty: .*finite"),
        ('preset = "filters"', 'preset = "trained_pq"\nsparsity = {threshold = [0, 1]}', "either a range of shares or"),
        ('preset = "filters"', 'preset = "trained_pq"\nquantization = {bits_offset = 30}', "bits_offset: .*not 30"),
        ("trials = 4", 'trials = 4\nobjectives = ["speedup", "map"]', "search: objectives are .*: a quality first"),
        ('preset = "filters"', 'preset = "filters"\nofset = 0.1', "unknown key 'space.ofset': did you mean 'offset'"),
        (
            'preset = "filters"',
            'preset = "filters"\nallocation = "stag"',
            "space.allocation.0: .*'uniform', 'stage'.*not 'stag'",
        ),
        (
            'preset = "filters"',
            'preset = "filters"\ndescriptor = "opn"',
            "space.descriptor: .*'locked' or 'open'.*not 'opn'",
        ),
        (
            'preset = "filters"',
            'preset = "filters"\nmethods = ["trained_pq"]',
            "'trained_pq' needs .space.quantization",
        ),
        (
            'preset = "filters"',
            'preset = "filters"\nsparsity = {share = [0.0, 0.5]}',
            "space: sparsity needs quantization",
        ),
        (
            'preset = "filters"',
            'preset = "trained_pq"\nquantization = {bits = [1, 8]}',
            "space.quantization.bits.0: .*greater than or equal to 2, not 1",
        ),
        (
            'preset = "filters"',
            'preset = "trained_pq"\nquantization = {bits = [2, 9]}',
            "space.quantization.bits.1: .*less than or equal to 8, not 9",
        ),
        (
            'preset = "filters"',
            'preset = "trained_pq"\nquantization = {bit = [2, 8]}',
            "unknown key 'space.quantization.bit': did you mean 'bits'",
        ),
        (
            'preset = "filters"',
            'preset = "trained_pq"\nsparsity = {share = [0.0, 1.0]}',
            "space.sparsity.share.1: .*less than 1",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(tiny_sweep, old, new, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_config(changed(tiny_sweep, old, new))
    assert str(tiny_sweep) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_method_that_only_codes_must_train(tiny_sweep):
    never = "sparsity = {penalty = 0.0, penalised_epochs = 0, retrained_epochs = 0}\nquantization = {epochs = 0}"
    changed(tiny_sweep, 'preset = "filters"', f'preset = "trained_pq"\n{never}')
    with pytest.raises(ValueError, match="space: method 'trained_pq' trains in its last stage alone"):
        load_config(tiny_sweep)


def test_the_command_line_replaces_the_data_and_the_budget(tiny_sweep, tmp_path):
    config = load_config(tiny_sweep, data=tmp_path, trials=9)
    assert config.data.root == tmp_path
    assert config.search.trials == 9


def test_a_relative_data_folder_is_made_absolute(tiny_sweep, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_config(tiny_sweep, data=Path("d")).data.root == tmp_path / "d"


def test_budget_and_resources_do_not_make_another_sweep_and_everything_else_does(tiny_sweep):
    config = load_config(tiny_sweep)
    assert load_config(tiny_sweep, trials=9).identity == config.identity
    changed(tiny_sweep, 'preset = "filters"', 'preset = "filters"\nlevel = [0, 0.9]')  # as the preset has it
    assert load_config(tiny_sweep).identity == config.identity
    tiny_sweep.write_text(tiny_sweep.read_text() + "\n[resources]\ncpus = 2\n")
    assert load_config(tiny_sweep).identity == config.identity
    assert load_config(changed(tiny_sweep, "epochs = 2\nsteps_per_epoch = 2", "epochs = 3")).identity != config.identity


def test_objectives_may_be_any_quality_and_any_costs(tiny_sweep):
    asked = ("recall_at_1", "macs", "size_bytes")
    changed(tiny_sweep, "trials = 4", f"trials = 4\nobjectives = {list(asked)}")
    config = load_config(tiny_sweep)
    assert config.search.objectives == asked
    config.check_reported("places")
    with pytest.raises(ValueError, match="'recall_at_1': it needs places queries"):
        config.check_reported("classic")


def test_the_command_line_replaces_any_key(tiny_sweep):
    overrides = [
        "dense.epochs=7",
        "dense.learning_rate = 1e-2",
        "network.pooling=mac",
        'search.objectives=["map", "compression"]',
        "space.level=[0, 0.5]",
        "resources.cpus=2",
        "data.select_on=one/two words",
        "search.seed=1",
        "search.seed=2",
    ]
    config = load_config(tiny_sweep, trials=9, overrides=overrides)
    assert (config.dense.epochs, config.dense.learning_rate, config.network.pooling) == (7, 0.01, "mac")
    assert config.search.objectives == ("map", "compression")
    assert config.space.resolve().level == (0, 0.5)
    assert (config.resources.cpus, config.data.select_on.path) == (2, "one/two words")
    assert (config.search.seed, config.search.trials) == (2, 9)


def test_a_section_of_a_preset_is_replaced_key_by_key(tiny_sweep):
    changed(tiny_sweep, 'preset = "filters"', 'preset = "filters_pq"')
    before, after = (load_config(tiny_sweep, overrides=each) for each in ((), ["space.quantization.bits=[3, 4]"]))
    quantization = after.space.resolve().quantization
    assert quantization.bits == (3, 4)
    assert quantization.epochs == before.space.resolve().quantization.epochs


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dense.epohcs=3", "unknown key 'dense.epohcs': did you mean 'epochs'"),
        ("dnese.epochs=3", "unknown key 'dnese': did you mean 'dense'"),
        ("dense.epochs=many", "dense.epochs: .*valid integer.*not 'many'"),
        ("dense.epochs=-1", "dense.epochs: .*greater than or equal to 0, not -1"),
        ("dense.epochs=0", "cosine_softmax has class directions to train"),
        ("space.levle=[0, 0.5]", "unknown key 'space.levle': did you mean 'level'"),
        ("space.level=[0, 1]", "space.level.1: .*less than 1"),
        ("name.first=tiny", "--set name.first=tiny: 'name' is a value in the file, not a section"),
        ("dense.epochs", "--set dense.epochs: KEY=VALUE is right"),
        ("dense..epochs=3", "KEY=VALUE is right"),
        ("=3", "KEY=VALUE is right"),
        ("search.objectives=[map, speedup]", "the value is not TOML"),
        ("dense.epochs=", "dense.epochs: .*valid integer"),
        ("dense.epochs=3\nname = 1", "dense.epochs: .*valid integer"),
    ],
)
def test_an_override_is_checked_like_the_file(tiny_sweep, override, message):
    with pytest.raises(ValueError, match=message):
        load_config(tiny_sweep, overrides=[override])


def test_an_overridden_sweep_is_another_one(tiny_sweep):
    assert load_config(tiny_sweep, overrides=["dense.epochs=3"]).identity != load_config(tiny_sweep).identity
    assert load_config(tiny_sweep, overrides=["dense.epochs=2"]).identity == load_config(tiny_sweep).identity


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("loss.match", ["loss.match=1.0"]),
        ("evaluation.gallery", ["evaluation.gallery=dense"]),
        ("descriptor.size", ["descriptor.whitening=pca", "descriptor.size=16"]),
    ],
)
def test_an_open_descriptor_is_not_compared_with_one_of_fixed_size(tiny_sweep, section, changes):
    assert load_config(tiny_sweep, overrides=changes)
    with pytest.raises(ValueError, match=rf'space.descriptor is "open", but {section}'):
        load_config(tiny_sweep, overrides=[*changes, "space.descriptor=open"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("descriptor.scales=[1.0, 0]", "scales are .*: 0.0 is not in"),
        ("descriptor.scales=[0.5, 0.5]", "each once"),
        ("descriptor.size=8", "size is 8 without a whitening"),
        ("descriptor.whitening=zca", "descriptor.whitening: .*'none', 'pca' or 'lw', not 'zca'"),
        ("evaluation.gallery=pruned", "evaluation.gallery: .*'own' or 'dense', not 'pruned'"),
        ("loss.name=contrastiv", "loss.name: .*not 'contrastiv'"),
        ("loss.margin=0.3", "margin is 0.3, but cosine_softmax takes only scale"),
        ("network.head=reid", "head is 'reid' and loss.name 'cosine_softmax'"),
        ("data.report_on=val", "select_on and report_on are both 'val'"),
        ("data.image_size=[64]", "data.image_size"),
    ],
)
def test_a_mistake_in_how_descriptors_are_made_is_one_line(tiny_sweep, override, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_config(tiny_sweep, overrides=[override])
    assert "\n" not in str(caught.value)


def test_a_file_without_a_sampler_and_a_reference_has_the_identity_that_it_had(tiny_sweep):
    plain = load_config(tiny_sweep)
    tpe = load_config(tiny_sweep, overrides=["search.sampler=tpe"])
    assert plain.identity == tpe.identity != load_config(tiny_sweep, overrides=["search.sampler=random"]).identity
    assert plain.search.chosen_sampler == "ehvi"
    assert "reference" not in plain.model_dump(mode="json")["search"]
