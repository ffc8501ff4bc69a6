"""The curriculum as a verl dataset, read by verl's loader and resumed exactly at any step."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import verl  # noqa: F401  first: its plugins are loaded at its end
from omegaconf import DictConfig
from torchdata.stateful_dataloader import StatefulDataLoader
from verl.trainer.ppo.utils import create_rl_dataset, create_rl_sampler
from verl.utils.dataset.rl_dataset import collate_fn

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.verl_plugin.dataset import VALIDATION_STAGE, CurriculumDataset

Config = Callable[..., DictConfig]
CUSTOM = ("data.custom_cls.path=pkg://rewardmap_verl.verl_plugin.dataset",)
CUSTOM += ("data.custom_cls.name=CurriculumDataset",)


def make_dataset(config: DictConfig, processor: Any, split: str = "train") -> CurriculumDataset:
    """Build the dataset as verl does."""
    dataset = create_rl_dataset(
        config.data[f"{split}_files"],
        config.data,
        processor.tokenizer,
        processor,
        max_samples=config.data.get(f"{split}_max_samples", -1),
    )
    assert isinstance(dataset, CurriculumDataset)
    return dataset


def make_loader(config: DictConfig, dataset: CurriculumDataset) -> StatefulDataLoader:
    """Build the loader as PPOTrainer._init_dataloader does."""
    return StatefulDataLoader(
        dataset=dataset,
        batch_size=config.data.get("gen_batch_size") or config.data.train_batch_size,
        num_workers=config.data.get("dataloader_num_workers", 0),
        drop_last=True,
        collate_fn=collate_fn,
        sampler=create_rl_sampler(config.data, dataset),
    )


def seen(batch: dict[str, Any]) -> list[tuple[str, int, bool]]:
    """Return stage, row and repeat flag of the rows of a batch."""
    return [(info["stage"], info["row"], info["repeat"]) for info in batch["extra_info"]]


@pytest.fixture
def config(data_folder: Path, run_config: Config) -> DictConfig:
    return run_config(data_folder, *CUSTOM)


def test_stages_come_in_order_and_every_row_once(config: DictConfig, processor: Any) -> None:
    loader = make_loader(config, make_dataset(config, processor))
    rows = [row for batch in loader for row in seen(batch)]
    stages = list(dict.fromkeys(stage for stage, _, _ in rows))
    assert stages == ["judgment", "counting", "choice", "planning"]
    assert Counter(row for _, row, repeat in rows if not repeat) == Counter(range(36))
    assert len(rows) == 12 + 12 + 8 + 12  # 9, 11, 7 and 9 rows in batches of four


def test_the_last_batch_of_the_last_stage_is_read(config: DictConfig, processor: Any) -> None:
    dataset = make_dataset(config, processor)
    batches = list(make_loader(config, dataset))
    steps = len(dataset) // config.data.train_batch_size  # PPOTrainer.steps_per_epoch
    assert len(batches) == steps == 11
    assert {stage for stage, _, _ in seen(batches[-1])} == {"planning"}
    assert seen(batches[-1])[-1][2], "the last batch is filled with repeats, not dropped"


def test_rows_carry_stage_type_and_absolute_paths(
    config: DictConfig, processor: Any, data_folder: Path
) -> None:
    dataset = make_dataset(config, processor)
    first = dataset[0]
    info = first["extra_info"]
    assert info["stage"] == "judgment" and info["type"] in ("TorF1", "TorF2")
    assert info["slot"] == 0 and info["stage_epoch"] == 0 and info["repeat"] is False
    assert info["network"] == str(data_folder / "networks/testland/one.json")
    image = first["raw_prompt"][0]["content"][0]
    assert image == {
        "type": "image",
        "image": str(data_folder / f"images/map{info['index'] % 2}.png"),
        "max_pixels": 56 * 56,
    }
    assert "images" not in first and "data_folder" not in first
    assert first["index"] == info["index"]


def test_rows_contain_no_pixels(config: DictConfig, processor: Any) -> None:
    dataset = make_dataset(config, processor)
    row = dataset[0]
    del row["dummy_tensor"]
    assert len(json.dumps(row)) < 4000


def test_the_agent_loop_can_read_the_image(config: DictConfig, processor: Any) -> None:
    dataset = make_dataset(config, processor)
    images, _, _ = asyncio.run(
        CurriculumDataset.process_multi_modal_info(
            dataset[0]["raw_prompt"], image_patch_size=14, config=config.data
        )
    )
    prompt = processor.apply_chat_template(
        dataset[0]["raw_prompt"], add_generation_prompt=True, tokenize=False
    )
    encoded = processor(text=[prompt], images=images, return_tensors="pt")
    assert images[0].size == (56, 56)
    assert encoded["image_grid_thw"].tolist() == [[1, 4, 4]]


def test_validation_keeps_its_own_order(config: DictConfig, processor: Any) -> None:
    dataset = make_dataset(config, processor, "val")
    assert len(dataset) == 12
    assert [dataset[i]["extra_info"]["index"] for i in range(12)] == list(range(12))
    assert {dataset[i]["extra_info"]["stage"] for i in range(12)} == {VALIDATION_STAGE}


@pytest.mark.parametrize(("workers", "replay"), [(0, 0.0), (2, 0.0), (0, 0.3)])
def test_resume_at_every_step_gives_the_remaining_rows(
    config: DictConfig, processor: Any, workers: int, replay: float
) -> None:
    config.data.dataloader_num_workers = workers
    config.data.curriculum.replay = replay
    dataset = make_dataset(config, processor)
    whole = [seen(batch) for batch in make_loader(config, dataset)]
    stops = range(1, len(whole)) if workers == 0 else (1, 5, len(whole) - 1)
    for step in stops:
        loader = make_loader(config, dataset)
        iterator = iter(loader)
        for _ in range(step):
            next(iterator)
        state = loader.state_dict()
        resumed = make_loader(config, make_dataset(config, processor))
        resumed.load_state_dict(state)
        assert [seen(batch) for batch in resumed] == whole[step:], step


ALL_TYPES = "[TorF1, TorF2, Counting1, Counting2, Counting3, planning]"


@pytest.mark.parametrize(
    ("override", "change"),
    [
        ("data.curriculum.seed=4", "seed: 3 → 4"),
        ("data.train_batch_size=2", "train_batch_size: 4 → 2"),
        ("data.curriculum.leave_out=[Other]", "leave_out"),
        ("data.curriculum.replay=0.3", "replay: 0.0 → 0.3"),
        (f"data.curriculum.stages=[{{name: all, types: {ALL_TYPES}}}]", "→ [all]"),
    ],
)
def test_changed_settings_are_refused_on_resume(
    data_folder: Path, run_config: Config, processor: Any, override: str, change: str
) -> None:
    config = run_config(data_folder, *CUSTOM)
    loader = make_loader(config, make_dataset(config, processor))
    next(iter(loader))
    changed = run_config(data_folder, *CUSTOM, override)
    resumed = make_loader(changed, make_dataset(changed, processor))
    resumed.load_state_dict(loader.state_dict())
    with pytest.raises(ConfigError) as caught:
        next(iter(resumed))
    assert change in str(caught.value) and "resume_mode=disable" in str(caught.value)


def test_loader_workers_reject_changed_settings_too(
    data_folder: Path, run_config: Config, processor: Any
) -> None:
    config = run_config(data_folder, *CUSTOM, "data.dataloader_num_workers=1")
    loader = make_loader(config, make_dataset(config, processor))
    list(loader)
    config.data.curriculum.seed = 4
    resumed = make_loader(config, make_dataset(config, processor))
    resumed.load_state_dict(loader.state_dict())
    with pytest.raises(ConfigError, match="seed: 3 → 4"):
        next(iter(resumed))


def test_changed_data_are_refused_on_resume(
    config: DictConfig, processor: Any, data_folder: Path
) -> None:
    loader = make_loader(config, make_dataset(config, processor))
    next(iter(loader))
    table = pq.read_table(data_folder / "train.parquet")
    pq.write_table(table.slice(0, table.num_rows - 1), data_folder / "train.parquet")
    resumed = make_loader(config, make_dataset(config, processor))
    resumed.load_state_dict(loader.state_dict())
    with pytest.raises(ConfigError, match="rows: 36 → 35"):
        next(iter(resumed))


def test_moved_data_are_the_same_data(
    config: DictConfig, processor: Any, data_folder: Path, run_config: Config, tmp_path: Path
) -> None:
    loader = make_loader(config, make_dataset(config, processor))
    next(iter(loader))
    moved = shutil.move(data_folder, tmp_path / "elsewhere")
    there = run_config(Path(moved), *CUSTOM)
    resumed = make_loader(there, make_dataset(there, processor))
    resumed.load_state_dict(loader.state_dict())
    assert len(list(resumed)) == 10


def test_paths_are_relative_to_their_file(
    data_folder: Path, run_config: Config, processor: Any, tmp_path: Path
) -> None:
    other = shutil.copytree(data_folder, tmp_path / "other")
    files = f"[{data_folder}/train.parquet,{other}/train.parquet]"
    config = run_config(data_folder, *CUSTOM, f"data.train_files={files}")
    dataset = make_dataset(config, processor)
    folders = Counter(
        Path(dataset[i]["raw_prompt"][0]["content"][0]["image"]).parents[1]
        for i, slot in enumerate(dataset.schedule.slots if dataset.schedule else ())
        if not slot.repeat
    )
    assert folders == {data_folder: 36, other: 36}


UNEVEN = "[{types: [TorF1], weight: 1}, {types: [TorF2]}]"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.shuffle=true", "data.shuffle: found True"),
        ("data.shuffle=true", "data.shuffle=false"),
        ("trainer.total_epochs=2", "trainer.total_epochs"),
        ("data.filter_overlong_prompts=true", "filter_overlong_prompts"),
        ("algorithm.filter_groups.enable=true", "filter_groups"),
        ("data.curriculum.sed=1", "Did you mean 'seed'"),
        ("data.curriculum.stages=[]", "data.curriculum.stages"),
        ("data.curriculum.stages=[{name: a,types: [TorF1],epoch: 2}]", "stages[0].epoch"),
        ("data.curriculum.stages=[{name: a,types: [TorF1],epochs: 0}]", "stages[0].epochs"),
        ("data.curriculum.stages=[{name: a b,types: [TorF1]}]", "stages[0].name"),
        ("data.curriculum.stages=[{name: a,types: []}]", "give either types or mixture"),
        ("data.curriculum.stages=steep", "known: staged, coarse, fine, flat, planning_only"),
        (
            "data.curriculum.stages=[{name: a,types: [TorF1],epochs: 1,steps: 2}]",
            "epochs and steps",
        ),
        ("data.curriculum.stages=[{name: a,types: [TorF1],where: {town: x}}]", "no such key"),
        ("data.curriculum.stages=[{name: a,types: [TorF1],where: {city: x}}]", "one (36 rows)"),
        (
            "data.curriculum.stages=[{name: a,mixture: [{types: [TorF1], replay: true}]}]",
            "a stage needs a part without replay",
        ),
        (
            "data.curriculum.stages=[{name: a,mixture: [{types: [TorF1], weight: 0}]}]",
            "stages[0].mixture[0].weight",
        ),
        (f"data.curriculum.stages=[{{name: a,mixture: {UNEVEN}}}]", "give a weight to all parts"),
        ("data.curriculum.stages=[{name: a,types: [TorF1,TorF1]}]", "'TorF1' is listed twice"),
        ("data.curriculum.stages=[{name: a,types: [TorF9]}]", "No training row has this type"),
        ("data.curriculum.stages=[{name: a,types: [TorF1]}]", "Counting1 (7 rows)"),
        (
            "data.curriculum.stages=[{name: a,types: [TorF1]},{name: a,types: [TorF2]}]",
            "two stages are called 'a'",
        ),
        ("data.train_batch_size=10", "stages[0] (judgment)"),
    ],
)
def test_invalid_settings_are_rejected(
    data_folder: Path, run_config: Config, processor: Any, override: str, message: str
) -> None:
    config = run_config(data_folder, *CUSTOM, override)
    with pytest.raises(ConfigError) as caught:
        make_dataset(config, processor)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "name", "wanted"),
    [
        ("sync", "RewardMapReplayBufferAsync", "needs RewardMapReplayBuffer."),
        ("colocate_async", "RewardMapReplayBuffer", "needs RewardMapReplayBufferAsync."),
    ],
)
def test_the_replay_buffer_must_fit_the_mode(
    data_folder: Path, run_config: Config, processor: Any, mode: str, name: str, wanted: str
) -> None:
    config = run_config(
        data_folder,
        *CUSTOM,
        f"trainer.v1.trainer_mode={mode}",
        "trainer.v1.sampler.custom_sampler.path=pkg://rewardmap_verl.verl_plugin.replay_buffer",
        f"trainer.v1.sampler.custom_sampler.name={name}",
    )
    with pytest.raises(ConfigError) as caught:
        make_dataset(config, processor)
    assert wanted in str(caught.value)


def test_all_errors_of_a_block_are_reported_at_once(
    data_folder: Path, run_config: Config, processor: Any
) -> None:
    stages = "data.curriculum.stages=[{name: a,types: [TorF1],epochs: 0,rows: -1}]"
    with pytest.raises(ConfigError) as caught:
        make_dataset(run_config(data_folder, *CUSTOM, stages), processor)
    assert "stages[0].epochs" in str(caught.value) and "stages[0].rows" in str(caught.value)


def test_training_and_validation_files_must_differ(
    data_folder: Path, run_config: Config, processor: Any
) -> None:
    config = run_config(data_folder, *CUSTOM, f"data.val_files={data_folder}/train.parquet")
    with pytest.raises(ConfigError, match=r"data\.val_files"):
        make_dataset(config, processor)


def test_untrained_types_must_be_listed(
    data_folder: Path, run_config: Config, processor: Any
) -> None:
    stages = "data.curriculum.stages=[{name: planning,types: [planning]}]"
    rest = "data.curriculum.leave_out=[TorF1,TorF2,Counting1,Counting2,Counting3]"
    dataset = make_dataset(run_config(data_folder, *CUSTOM, stages, rest), processor)
    assert {dataset[i]["extra_info"]["type"] for i in range(len(dataset))} == {"planning"}


def change_first_row(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit the first training row in place."""
    import pyarrow as pa

    path = folder / "train.parquet"
    rows = pq.read_table(path).to_pylist()
    change(rows[0])
    pq.write_table(pa.Table.from_pylist(rows), path)


def edit_truth(row: dict[str, Any], **changes: object) -> None:
    """Edit the gold answer of a row."""
    truth = json.loads(row["reward_model"]["ground_truth"])
    row["reward_model"]["ground_truth"] = json.dumps(truth | changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row["images"][0].update(image="../out.png"), "stay inside"),
        (lambda row: row["images"][0].update(image="/etc/hostname"), "stay inside"),
        (lambda row: row["images"][0].update(image="images/link.png"), "through a link"),
        (lambda row: row["images"][0].update(image="images/none.png"), "no such file"),
        (lambda row: row["images"][0].update(bytes=b"pixels"), "images[0]: bytes"),
        (lambda row: row["prompt"][0].update(content="no image"), "0 × <image> for 1 images"),
        (lambda row: row["extra_info"].update(network="../../etc/passwd"), "stay inside"),
        (lambda row: row["extra_info"].update(type=None), "extra_info.type"),
        (lambda row: row["reward_model"].update(ground_truth=""), "reward_model.ground_truth"),
        (lambda row: row["reward_model"].update(ground_truth="{"), "must be JSON"),
        (lambda row: edit_truth(row, station_1="Nowhere"), "station_1: found 'Nowhere'"),
        (lambda row: edit_truth(row, answer=7), "answer: found 7"),
        (lambda row: edit_truth(row, city="two"), "Give the network of the question's city"),
        (lambda row: row["extra_info"].update(prompt_tokens=9999), "data.max_prompt_length is"),
        (lambda row: row["extra_info"].update(type="TorF2"), "Its gold answer is of type TorF1"),
    ],
)
def test_unusable_rows_are_reported(
    config: DictConfig,
    processor: Any,
    data_folder: Path,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    (tmp_path / "out.png").write_bytes((data_folder / "images/map0.png").read_bytes())
    (data_folder / "images/link.png").symlink_to(tmp_path / "out.png")
    change_first_row(data_folder, change)
    with pytest.raises(DataError) as caught:
        make_dataset(config, processor)
    text = str(caught.value)
    assert message in text and f"{data_folder}/train.parquet, row 0" in text


@pytest.mark.parametrize("content", [None, b"not parquet"])
def test_unreadable_files_are_reported(
    config: DictConfig, processor: Any, data_folder: Path, content: bytes | None
) -> None:
    path = data_folder / "train.parquet"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"train\.parquet"):
        make_dataset(config, processor)


def test_rows_survive_verls_conversion_to_tensordict(config: DictConfig, processor: Any) -> None:
    from verl.utils import tensordict_utils as tu

    batch = next(iter(make_loader(config, make_dataset(config, processor))))
    batch["uid"] = np.array(["a", "b", "c", "d"], dtype=object)
    assert len(tu.get_tensordict(batch)) == 4


def test_a_curriculum_by_name(data_folder: Path, run_config: Config, processor: Any) -> None:
    names = {}
    for name in ("staged", "coarse", "fine", "flat", "planning_only"):
        config = run_config(data_folder, *CUSTOM, f"data.curriculum.stages={name}")
        schedule = make_dataset(config, processor).schedule
        assert schedule is not None
        names[name] = [stage.name for stage in schedule.stages]
    assert names["staged"] == ["judgment", "counting", "choice", "planning"]
    assert names["coarse"] == ["perception", "planning"]
    assert len(names["fine"]) == 6 and names["flat"] == ["all"]
    assert names["planning_only"] == ["planning"]


def test_a_mixture_with_replay_a_filter_and_rollouts(
    data_folder: Path, run_config: Config, processor: Any
) -> None:
    stages = [
        {"name": "perception", "types": ["TorF1", "TorF2", "Counting1"], "steps": 2},
        {
            "name": "planning",
            "mixture": [
                {"types": ["planning"], "where": {"city": "one"}, "weight": 3},
                {"types": ["Counting2", "Counting3"], "weight": 1, "replay": True},
            ],
            "rollouts": 4,
        },
    ]
    config = run_config(data_folder, *CUSTOM)
    config.data.curriculum.stages = stages
    dataset = make_dataset(config, processor)
    rows = [dataset[index] for index in range(len(dataset))]
    kinds = Counter(row["extra_info"]["type"] == "planning" for row in rows[8:])
    assert len(rows[:8]) == 8 and "__rollout_n__" not in rows[0]
    assert kinds == {True: 9, False: 3}
    assert {row["__rollout_n__"] for row in rows[8:]} == {4}


def test_rollouts_that_verl_would_pad_are_rejected(
    data_folder: Path, run_config: Config, processor: Any
) -> None:
    config = run_config(
        data_folder,
        *CUSTOM,
        "actor_rollout_ref.actor.ppo_mini_batch_size=4",
        "actor_rollout_ref.rollout.n=8",
        f"data.curriculum.stages=[{{name: all, types: {ALL_TYPES}, rollouts: 4}}]",
    )
    with pytest.raises(ConfigError, match=r"rollouts: found 4.*multiple of 8"):
        make_dataset(config, processor)


def test_the_examples_of_the_documentation_are_valid() -> None:
    import re

    import yaml

    from rewardmap_verl.curriculum.config import CurriculumConfig

    text = (Path(__file__).parents[2] / "docs/curriculum.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        CurriculumConfig.model_validate(yaml.safe_load(block)["data"]["curriculum"])
