"""The reward, as verl's reward workers call it (``reward.reward_manager``, source ``importlib``).

verl runs ``reward.num_workers`` Ray actors; each holds one manager and asks it for one answer at a
time, many at once. All the thinking is in :mod:`rewardmap_verl.rewards`; here are only the way in
and out, and what a process keeps: networks and gold answers, read once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from omegaconf import OmegaConf
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from rewardmap_verl.rewards.config import load_reward_config
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.score import score_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import read_network
from rewardmap_verl.verl_plugin.batches import BatchedThread

__all__ = ["RewardMapRewardManager"]

NETWORKS_KEPT = 256
"""Networks that a process keeps. Real ones take up to a few MB; there are 30 in ReasonMap."""

TRUTHS_KEPT = 4096
"""Gold answers that a process keeps; the rollouts of a group follow one another."""


class RewardMapRewardManager(RewardManagerBase):
    """Scores answers about transit maps.

    Settings are in ``reward.rewardmap``. A row must have ``reward_model.ground_truth`` and
    ``extra_info.network``, an absolute path, as
    :class:`~rewardmap_verl.verl_plugin.dataset.CurriculumDataset` gives it.
    """

    def __init__(
        self, config: Any, tokenizer: Any, compute_score: Any = None, **_unused: Any
    ) -> None:
        super().__init__(config, tokenizer, compute_score)
        block: Any = config.reward.get("rewardmap") or {}
        plain: Any = OmegaConf.to_container(block, resolve=True) if block else None
        self._settings = load_reward_config(plain)
        self._network = lru_cache(maxsize=NETWORKS_KEPT)(read_network)
        self._truth = lru_cache(maxsize=TRUTHS_KEPT)(GroundTruth.from_json)
        # One thread: scoring holds the interpreter lock, more threads would only take turns. It
        # keeps the event loop free to take further calls, and it loads no network twice.
        self._scorer = BatchedThread(self._score, "rewardmap")

    async def run_single(self, data: Any) -> dict[str, Any]:
        """Score one answer.

        Args:
            data: verl's DataProto of one rollout; of several outputs the last one counts.

        Returns:
            ``reward_score`` and, as ``reward_extra_info``, the parts: the same keys every time.

        Raises:
            DataError: The row cannot be scored, whatever the answer. The dataset has checked all
                rows before training, so this means that a file has changed since.
        """
        return await self._scorer.run(data)

    def _score(self, data: Any) -> dict[str, Any]:
        # The row is taken apart by hand: verl's data[-1:] takes longer than to score the answer.
        row = {name: column[-1] for name, column in data.non_tensor_batch.items()}
        answer = self.tokenizer.decode(answer_tokens(data.batch), skip_special_tokens=True)
        truth = self._truth(row["reward_model"]["ground_truth"])
        network: Network = self._network(row["extra_info"]["network"])
        score = score_answer(answer, truth, network, self._settings)
        parts = score.as_dict()
        return {"reward_score": parts["score"], "reward_extra_info": parts}


def answer_tokens(batch: Mapping[str, Any]) -> Any:
    """The token ids of the last output of a rollout, without the filling behind them."""
    answer = batch["responses"][-1]
    length = int(batch["attention_mask"][-1, -answer.shape[-1] :].sum())
    return answer[:length]
