"""A training order that depends on answers, read by verl's loader and resumed at any step."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import verl  # noqa: F401  first: its plugins are loaded at its end
from omegaconf import DictConfig, OmegaConf
from torchdata.stateful_dataloader import StatefulDataLoader
from verl.utils.dataset.rl_dataset import collate_fn

from rewardmap_verl.curriculum.adaptive import AdaptiveOrder
from rewardmap_verl.curriculum.config import CurriculumConfig
from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.schedule import RowStream, Stage, build_schedule
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.verl_plugin.dataset import CurriculumDataset

Config = Callable[..., DictConfig]
Answer = Callable[[str, int, int], tuple[float, ...]]  # type, row, step → accuracy of each answer


def answers_at_random(kind: str, row: int, step: int) -> tuple[float, ...]:
    rng = random.Random(f"{kind}/{row}/{step}")
    return tuple(float(rng.random() < 0.3 + 0.04 * step) for _ in range(4))


CURRICULUM = {
    "seed": 3,
    "stages": [
        {
            "name": "judgment",
            "types": ["TorF1", "TorF2"],
            "epochs": 4,
            "promote": {"reach": 0.5, "window": 2, "patience": 1, "min_steps": 2},
        },
        {
            "name": "counting",
            "types": ["Counting1", "Counting2", "Counting3"],
            "epochs": 2,
            "promote": {"plateau": 0.05, "window": 2},
        },
        {
            "name": "planning",
            "mixture": [
                {"types": ["planning"], "weight": 3},
                {"types": ["TorF1", "TorF2"], "weight": 1, "replay": True},
            ],
            "epochs": 2,
            "demote": {"below": 0.6, "window": 2, "patience": 1},
        },
    ],
    "skip_solved": 2,
}


@pytest.fixture
def config(data_folder: Path, run_config: Config) -> DictConfig:
    built = run_config(data_folder)
    built.data.curriculum = OmegaConf.create(CURRICULUM)
    built.data.dataloader_num_workers = 2
    return built


def make_loader(config: DictConfig, processor: Any) -> tuple[CurriculumDataset, Any]:
    dataset = CurriculumDataset(
        config.data.train_files, processor.tokenizer, config.data, processor
    )
    loader = StatefulDataLoader(
        dataset,
        batch_size=config.data.train_batch_size,
        num_workers=config.data.dataloader_num_workers,
        drop_last=True,
        collate_fn=collate_fn,
    )
    return dataset, loader


def groups_of(batch: dict[str, Any], step: int, answer: Answer) -> list[Group]:
    return [
        Group(
            info["stage"],
            info["type"],
            info["row"],
            info["slot"],
            info["stage_epoch"],
            info["repeat"],
            {"acc": answer(info["type"], info["row"], step)},
        )
        for info in batch["extra_info"]
    ]


def train(
    dataset: CurriculumDataset, loader: Any, first: int, answer: Answer
) -> list[tuple[list[tuple[str, int]], dict[str, Any]]]:
    """Use the data as PPOTrainer.fit does: read a step, report its scores, save the position."""
    steps = []
    for step, batch in enumerate(loader, first):
        groups = groups_of(batch, step, answer)
        dataset.observe(step, groups)
        state = torch.load(_saved(loader.state_dict()), weights_only=True)
        steps.append(([(group.stage, group.row) for group in groups], state))
    return steps


def _saved(state: dict[str, Any]) -> Any:
    import io

    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return buffer


def test_stopping_at_any_step_gives_the_same_rows_and_decisions(
    config: DictConfig, processor: Any
) -> None:
    dataset, loader = make_loader(config, processor)
    whole = train(dataset, loader, 1, answers_at_random)
    assert len(whole) == len(dataset) // 4
    stages = [rows[0][0] for rows, _ in whole]
    assert len(set(stages)) == 3, "the run must have been promoted for this test to mean anything"
    for stop in range(1, len(whole)):
        again, other = make_loader(config, processor)
        other.load_state_dict(whole[stop - 1][1])
        rest = train(again, other, stop + 1, answers_at_random)
        assert [rows for rows, _ in rest] == [rows for rows, _ in whole[stop:]], stop


def test_loader_workers_are_disabled(config: DictConfig, processor: Any) -> None:
    make_loader(config, processor)
    assert config.data.dataloader_num_workers == 0


def test_missing_scores_stop_the_run(config: DictConfig, processor: Any) -> None:
    _, loader = make_loader(config, processor)
    iterator = iter(loader)
    next(iterator)
    with pytest.raises(ConfigError, match="RewardMapReplayBuffer"):
        next(iterator)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        (
            "trainer.v1.sampler.custom_sampler.path=pkg://other",
            "trainer.v1.sampler.custom_sampler.path",
        ),
        ("trainer.v1.trainer_mode=separate_async", "trainer.v1.trainer_mode"),
    ],
)
def test_runs_without_scores_are_rejected(
    config: DictConfig, processor: Any, override: str, key: str
) -> None:
    config.merge_with_dotlist([override])
    with pytest.raises(ConfigError, match=key):
        make_loader(config, processor)


def test_the_replay_buffer_reports_scores_to_the_dataset(
    config: DictConfig, processor: Any
) -> None:
    from rewardmap_verl.verl_plugin.replay_buffer import observe_step

    dataset, loader = make_loader(config, processor)
    iterator = iter(loader)

    class Trainer(SimpleNamespace):
        def refill(self) -> None: ...

    trainer = Trainer(train_dataset=dataset)
    groups = groups_of(next(iterator), 1, answers_at_random)
    assert observe_step(trainer.refill, 1, groups) == {"rewardmap/stage": 1.0}
    next(iterator)
    assert observe_step(None, 1, groups) == {}


def make_order(rows: int = 8, epochs: int = 3, **settings: Any) -> AdaptiveOrder:
    stage = {"name": "all", "types": ["TorF1"], "epochs": epochs}
    config = CurriculumConfig.model_validate({"seed": 1, "stages": [stage], **settings})
    plan = build_schedule(
        [Stage("all", (RowStream("0", tuple(range(rows))),), epochs=epochs)], 1, batch_size=4
    )
    return AdaptiveOrder(config, plan)


def run_order(order: AdaptiveOrder, steps: int, solved: Callable[[int], bool]) -> list[list[int]]:
    trained = []
    for step in range(steps):
        slots = [order.slot(4 * step + place) for place in range(4)]
        rows = [slot.row for slot in slots]
        groups = [
            Group("all", "TorF1", row, 0, 0, False, {"acc": (float(solved(row)),) * 2})
            for row in rows
        ]
        order.observe(step + 1, groups)
        trained.append(rows)
    return trained


def test_solved_rows_are_skipped_and_the_number_of_steps_stays() -> None:
    trained = run_order(make_order(skip_solved=1), 6, lambda row: row < 4)
    assert all(len(rows) == 4 for rows in trained)
    counts = Counter(row for rows in trained for row in rows)
    assert all(counts[row] == 1 for row in range(4)), "solved once, then passed over"
    assert sum(counts[row] for row in range(4, 8)) == 20


def test_solved_rows_are_trained_if_all_are_solved() -> None:
    trained = run_order(make_order(skip_solved=1), 6, lambda row: True)
    assert Counter(row for rows in trained for row in rows) == Counter(dict.fromkeys(range(8), 3))


def test_a_forgotten_row_returns() -> None:
    order = make_order(rows=4, epochs=6, skip_solved=1)
    run_order(order, 1, lambda row: row == 0)
    order.observe(2, [])
    assert order.state_dict()["solved"] == {"0": 1}
    order.observe(3, [Group("all", "TorF1", 0, 0, 0, False, {"acc": (1.0, 0.0)})])
    assert order.state_dict()["solved"] == {}
