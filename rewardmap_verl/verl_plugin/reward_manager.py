"""The reward manager that verl's reward workers call (``reward.reward_manager``).

verl runs ``reward.num_workers`` Ray actors. Each holds one manager and awaits one answer per call,
with many calls in flight. Scoring itself is in ``rewardmap_verl.rewards``; the manager unpacks
verl's batch, and caches networks and gold answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from omegaconf import OmegaConf
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from rewardmap_verl.rewards.config import load_reward_config
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.score import score_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import read_network
from rewardmap_verl.zoom.settings import read_zoom
from rewardmap_verl.zoom.statistics import ANSWER_START, BOXES, with_zoom

__all__ = ["RewardMapRewardManager"]

CACHED_NETWORKS = 256
"""Networks per process. Real ones take up to a few MB; ReasonMap has 30."""

CACHED_TRUTHS = 4096
"""Gold answers per process; all rollouts of a group share one."""


class RewardMapRewardManager(RewardManagerBase):
    """Reward manager for answers about transit maps.

    It is configured by ``reward.rewardmap``. A row needs ``reward_model.ground_truth`` and
    ``extra_info.network``, an absolute path, as
    ``CurriculumDataset`` provides it.
    """

    def __init__(
        self, config: Any, tokenizer: Any, compute_score: Any = None, **_unused: Any
    ) -> None:
        super().__init__(config, tokenizer, compute_score)
        block: Any = config.reward.get("rewardmap") or {}
        plain: Any = OmegaConf.to_container(block, resolve=True) if block else None
        self._settings = load_reward_config(plain)
        data: Any = config.get("data")
        self._zoom = read_zoom(data) if data else None
        self._network = lru_cache(maxsize=CACHED_NETWORKS)(read_network)
        self._truth = lru_cache(maxsize=CACHED_TRUTHS)(GroundTruth.from_json)
        # Scoring holds the interpreter lock, so more threads would only take turns. One thread
        # keeps the event loop responsive and reads no network twice.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rewardmap")

    async def run_single(self, data: Any) -> dict[str, Any]:
        """Score one answer.

        Args:
            data: verl's ``DataProto`` of one rollout. If it holds several outputs, the last one is
                scored.

        Returns:
            ``reward_score``, and the parts of the reward as ``reward_extra_info``. The keys are the
            same for every answer.

        Raises:
            DataError: The row cannot be scored, whatever the answer. The dataset checks every row
                before training, so a file has changed since.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._score, data)

    def _score(self, data: Any) -> dict[str, Any]:
        # Indexing each column is much cheaper than verl's data[-1:].
        row = {name: column[-1] for name, column in data.non_tensor_batch.items()}
        fields = row.get("tool_extra_fields") or {}
        tokens = answer_tokens(data.batch)[fields.get(ANSWER_START, 0) :]
        answer = self.tokenizer.decode(tokens, skip_special_tokens=True)
        truth = self._truth(row["reward_model"]["ground_truth"])
        network: Network = self._network(row["extra_info"]["network"])
        score = score_answer(answer, truth, network, self._settings)
        parts = score.as_dict()
        if self._zoom is not None:
            parts = with_zoom(parts, fields.get(BOXES, []), self._zoom)
        return {"reward_score": parts["score"], "reward_extra_info": parts}


def answer_tokens(batch: Mapping[str, Any]) -> Any:
    """Return the token ids of a rollout's last output, without its padding."""
    answer = batch["responses"][-1]
    length = int(batch["attention_mask"][-1, -answer.shape[-1] :].sum())
    return answer[:length]
