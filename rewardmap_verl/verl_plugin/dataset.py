"""verl's training data in curriculum order (``data.custom_cls``).

verl removed its curriculum sampler in 0.8. verl 0.9.1 offers a custom dataset class, read in order
when ``data.shuffle=false`` by a dataloader whose position is saved and restored exactly. The
complete order is therefore computed here, once: position ``i`` of the dataset is
``Schedule.slots`` ``[i]``, and one epoch of the trainer is the complete curriculum.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from verl.utils.dataset.rl_dataset import RLHFDataset

from rewardmap_verl.checkpoints.resume import check_resume, current_fingerprint
from rewardmap_verl.config_blocks import root_of
from rewardmap_verl.curriculum.adaptive import AdaptiveOrder
from rewardmap_verl.curriculum.config import check_run, file_names
from rewardmap_verl.curriculum.curriculum_plan import CurriculumPlan, plan_curriculum
from rewardmap_verl.curriculum.fingerprint import refuse_changes
from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.rows import Files, check_originals, check_rows, each_row
from rewardmap_verl.curriculum.schedule import Schedule, Slot
from rewardmap_verl.curriculum.target_difficulty import TargetOrder, difficulties
from rewardmap_verl.preparation.originals import original_of
from rewardmap_verl.verl_plugin.image_references import AGENT_LOOP, ZOOM_LOOP
from rewardmap_verl.verl_plugin.zoom_tool import description_tokens, tool_kwargs
from rewardmap_verl.zoom.settings import read_zoom

__all__ = ["VALIDATION_STAGE", "CurriculumDataset"]

logger = logging.getLogger(__name__)

VALIDATION_STAGE = "validation"
_FOLDER = (
    "data_folder"  # column added to the rows: index of the folder that their paths are relative to
)


class CurriculumDataset(RLHFDataset):
    """verl's dataset with the training rows in curriculum order.

    verl builds it twice, for training and for validation, without saying which is which. The
    instance whose files are ``data.train_files`` is the training set. Validation rows keep the
    order of their files.

    Every row gets these keys in ``extra_info``: ``stage``, ``stage_epoch`` (from 0), ``slot``
    (position in the training order, from 0), ``row`` (row number in the data files, from 0),
    ``repeat`` (True if the row only fills the last batch of a stage), ``replay`` (True if the row
    is replayed from another stage). Paths of images and networks are relative to the parquet file's
    folder on disk and become absolute.

    Raises:
        ConfigError: The settings contradict the data or each other.
        DataError: Training could not use a row.
    """

    dataframe: Any  # datasets.Dataset

    def __init__(
        self,
        data_files: Any,
        tokenizer: Any,
        config: DictConfig,
        processor: Any = None,
        max_samples: int = -1,
    ) -> None:
        run = root_of(config) or OmegaConf.create({"data": config})
        check_run(run)
        # Separate from RLHFDataset.data_files, which may point at copies in a cache or in /dev/shm
        # without the images.
        self.files = Files.from_names(file_names(data_files))
        super().__init__(data_files, tokenizer, config, processor, max_samples)
        self._zoom = read_zoom(config)
        longest = self.max_prompt_length
        if self._zoom is not None:
            longest -= description_tokens(self._zoom, tokenizer)
            check_originals(each_row(self.dataframe), self.files)
        check_rows(each_row(self.dataframe), self.files, longest)
        self.schedule: Schedule | None = None
        self._adaptive: AdaptiveOrder | TargetOrder | None = None
        if file_names(data_files) == file_names(config.train_files):
            check_resume(run)
            self._fingerprint = current_fingerprint(config)
            layout = plan_curriculum(config)
            self.schedule = layout.schedule
            self._stages = layout.settings.stages
            if layout.settings.is_adaptive:
                self._adaptive = adaptive_order(layout)
                self._disable_loader_workers(config)

    def _disable_loader_workers(self, config: DictConfig) -> None:
        """Make verl, which builds its dataloader next, start no worker processes for it.

        They would prefetch rows before the answers that decide the order. Rows are short texts, so
        workers would not be faster either.
        """
        if config.get("dataloader_num_workers", 0):
            logger.warning("data.dataloader_num_workers=0: the curriculum depends on answers")
            with open_dict(config):
                config.dataloader_num_workers = 0

    def _read_files_and_tokenize(self) -> None:
        super()._read_files_and_tokenize()
        folders = self.files.folder_of_each_row()[: len(self.dataframe)]
        self.dataframe = self.dataframe.add_column(_FOLDER, folders)

    def __len__(self) -> int:
        return len(self.dataframe) if self.schedule is None else len(self.schedule.slots)

    def __getitem__(self, item: int) -> dict[str, Any]:
        """Return the row at a position of the training order, or of the validation data."""
        slot = self._slot(item)
        number = item if slot is None else slot.row
        row: dict[str, Any] = super().__getitem__(number)
        folder = row.pop(_FOLDER)
        if self._zoom is not None:
            self._offer_zoom(row, folder, self.dataframe[number][self.image_key], slot)
        if slot is not None and (rollouts := self._stages[slot.stage].rollouts):
            row["__rollout_n__"] = rollouts  # read by AgentLoopWorkerTQ._run_prompt
        info = row["extra_info"]
        info["network"] = self.files.resolve(folder, info["network"])
        info.update(self._position_info(item, slot))
        return row

    def _offer_zoom(
        self, row: dict[str, Any], folder: int, images: Sequence[Any], slot: Slot | None
    ) -> None:
        """Choose the agent loop of a row, and tell the tool which original belongs to it."""
        allowed = slot is None or self._stages[slot.stage].zoom
        row["agent_name"] = ZOOM_LOOP if allowed and images else AGENT_LOOP
        original = self.files.resolve(folder, original_of(images[0]["image"])) if images else ""
        row["tools_kwargs"] = tool_kwargs(original)

    def _slot(self, item: int) -> Slot | None:
        if self._adaptive is not None:
            return self._adaptive.slot(item)
        return None if self.schedule is None else self.schedule.slots[item]

    def stage_number(self, name: str) -> int:
        """Return the position of a stage in the curriculum, from 1; 0 if it is not part of it."""
        names = [stage.name for stage in self.schedule.stages] if self.schedule else []
        return names.index(name) + 1 if name in names else 0

    def observe(self, step: int, groups: Sequence[Group]) -> None:
        """Take in the scores of a training step; an adaptive order depends on them."""
        if self._adaptive is not None:
            self._adaptive.observe(step, groups)

    @property
    def target(self) -> float | None:
        """The target difficulty of the next step; ``None`` unless the curriculum has one."""
        return self._adaptive.target if isinstance(self._adaptive, TargetOrder) else None

    def _position_info(self, item: int, slot: Slot | None) -> dict[str, Any]:
        """Return a row's position in the training order, for metrics and record."""
        if slot is None or self.schedule is None:
            return {
                "stage": VALIDATION_STAGE,
                "stage_epoch": 0,
                "slot": item,
                "row": item,
                "repeat": False,
                "replay": False,
            }
        stage = self.schedule.stages[slot.stage]
        return {
            "stage": stage.name,
            "stage_epoch": slot.epoch,
            "slot": item,
            "row": slot.row,
            "repeat": slot.repeat,
            "replay": stage.streams[slot.stream].replay,
        }

    def _build_messages(self, example: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """Return verl's messages with each image as an absolute path, without pixels."""
        folder = example[_FOLDER]
        example[self.image_key] = [
            {name: value for name, value in image.items() if value is not None}
            | {"image": self.files.resolve(folder, image["image"])}
            for image in example[self.image_key]
        ]
        return super()._build_messages(example, key)

    def state_dict(self) -> dict[str, Any]:
        """Return what torchdata saves with the position: the fingerprint of the order."""
        if self.schedule is None:
            return {}
        order = {} if self._adaptive is None else {"adaptive": self._adaptive.state_dict()}
        return {"fingerprint": self._fingerprint, **order}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Check that the saved position still refers to the same rows, and restore the order.

        Raises:
            ConfigError: The saved run had a different order.
        """
        if self.schedule is None or "fingerprint" not in state:
            return
        refuse_changes(state["fingerprint"], self._fingerprint)
        if self._adaptive is not None:
            self._adaptive.load_state_dict(state["adaptive"])


def adaptive_order(plan: CurriculumPlan) -> AdaptiveOrder | TargetOrder:
    """Return the order of a curriculum that depends on the model's answers."""
    settings, schedule = plan.settings, plan.schedule
    if settings.target is None:
        return AdaptiveOrder(settings, schedule)
    difficulty = difficulties(schedule, plan.columns)
    return TargetOrder(settings.target, settings.seed, schedule, difficulty)
