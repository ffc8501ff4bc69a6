"""The taskset: one task for each question of a prepared folder, scored by the reward of training.

The prompt is that of training: the prepared map as a data URL, then the question. The reward is
``R = W · (format + correctness + α · detail)`` with the default settings; its parts are metrics.
"""

import base64
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import verifiers.v1 as vf
from verifiers.v1.types import ImageUrlContentPart, ImageUrlSource, TextContentPart, content_text

from rewardmap_verl.evaluation.questions import EvalQuestion, read_questions
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.score import Score, score_answer
from rewardmap_verl.transit.reader import network_to_json, parse_network


class MapData(vf.TaskData):
    """One question about one map."""

    truth: str
    """The ground truth as JSON."""
    network: str
    """The network of the map as JSON."""


class MapTask(vf.Task[MapData]):
    """The reward and its parts."""

    def judge(self, trace: vf.Trace) -> Score:
        """Score the last answer of the model; without an answer the score is 0."""
        truth = GroundTruth.from_json(self.data.truth, "task")
        network = parse_network(json.loads(self.data.network), truth.country, truth.city)
        answers = trace.assistant_messages
        response = content_text(answers[-1].content) if answers else ""
        return score_answer(response, truth, network, RewardConfig())

    @vf.reward(weight=1.0)
    async def reward(self, trace: vf.Trace) -> float:
        """Return the reward of training."""
        return self.judge(trace).score

    @vf.metric
    async def accuracy(self, trace: vf.Trace) -> float:
        """Return 1 for a correct answer, else 0."""
        return self.judge(trace).acc

    @vf.metric
    async def readable(self, trace: vf.Trace) -> float:
        """Return 1 for an answer in the requested form, else 0."""
        return float(self.judge(trace).readable)


class MapTasksetConfig(vf.TasksetConfig):
    """Which questions are asked."""

    data: Path = Path("data/synthetic")
    """Folder written by ``rewardmap prepare``."""
    split: str = "test"
    """Split of the folder: test or train."""


class MapTaskset(vf.Taskset[MapTask, MapTasksetConfig]):
    """The questions of one split of a prepared folder."""

    def load(self) -> Iterator[MapTask]:
        """Yield the questions in order."""
        data_url = lru_cache(maxsize=16)(_data_url)
        for question in read_questions(self.config.data, self.config.split).items:
            truth = question.truth
            network = json.dumps(network_to_json(question.network), ensure_ascii=False)
            data = MapData(
                id=question.key,
                name=f"{truth.type} {truth.country}/{truth.city}",
                prompt=[vf.UserMessage(content=list(_parts(question, data_url)))],
                truth=question.gold,
                network=network,
            )
            yield MapTask(data, self.config.task)


def _parts(question: EvalQuestion, data_url) -> Iterator[TextContentPart | ImageUrlContentPart]:  # type: ignore[no-untyped-def]
    """Yield the parts of the prompt, with the map in place of ``<image>``."""
    before, mark, after = question.prompt.partition("<image>")
    if before:
        yield TextContentPart(text=before)
    if mark and question.image is not None:
        yield ImageUrlContentPart(image_url=ImageUrlSource(url=data_url(question.image)))
    if after:
        yield TextContentPart(text=after)


def _data_url(image: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(image.read_bytes()).decode('ascii')}"
