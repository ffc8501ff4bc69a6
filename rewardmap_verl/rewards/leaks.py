"""Leak test: how well can a policy answer without the map?

A question leaks if its text predicts its answer. For every type, several map-blind policies learn
from the questions of some cities and answer those of the others. The best of them is compared with
the most frequent answer. Questions that the sampler balances should leave nothing to learn.

===================  ===========================================================================
policy               predicts from
===================  ===========================================================================
constant             nothing: the most frequent answer of the training cities
option value         how often an option with this value was correct (multiple choice)
option distances     value, rank by size, and distances to the other options (numeric options)
line name            the lines that the question names
structure            number of legs, repeated names, length of the text
naive Bayes          all words of the text
direct ride          planning: one ride between the two stops on the most frequent line
===================  ===========================================================================
"""

from __future__ import annotations

import heapq
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from rewardmap_verl.questions.types import QuestionType, Reading
from rewardmap_verl.questions.wording import short_answer
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.perfect import write_route
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.rewards.rows import QuestionRow
from rewardmap_verl.rewards.score import bounds, score_answer

__all__ = ["BALANCED_TYPES", "Leak", "LeakSample", "measure_leaks"]

BALANCED_TYPES: Final = frozenset(
    {QuestionType.TORF1, QuestionType.TORF2, QuestionType.COUNTING1}
    | {QuestionType.NEXT_STOP, QuestionType.JOINING_LINE, QuestionType.VALID_ROUTE}
)
"""Types whose answers the sampler balances."""

_MAX_FOLDS: Final = 10
_WORD: Final = re.compile(r"\w+")

Features = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Leak:
    """What the best map-blind policy reaches on the questions of one type."""

    type: QuestionType
    questions: int
    majority: float
    """Accuracy of the most frequent answer, known beforehand; 0 for planning."""
    policy: str
    """The best policy."""
    accuracy: float
    """Its accuracy on cities that it was not trained on."""
    reward_share: float
    """Its reward as a share of the reward of perfect answers."""

    @property
    def margin(self) -> float:
        """Half the 95 % interval of the accuracy."""
        return 1.96 * math.sqrt(self.accuracy * (1.0 - self.accuracy) / self.questions)

    @property
    def excess(self) -> float:
        """Accuracy above the most frequent answer."""
        return self.accuracy - self.majority


@dataclass(slots=True)
class LeakSample:
    """A uniform sample of the questions of each type, taken while they are read."""

    seed: int = 0
    limit: int = 4000
    """Questions to keep per type."""
    _kept: dict[QuestionType, list[tuple[float, int, QuestionRow]]] = field(default_factory=dict)

    def watch(self, rows: Iterable[QuestionRow]) -> Iterator[QuestionRow]:
        """Yield the questions unchanged and sample them."""
        for number, row in enumerate(rows):
            kept = self._kept.setdefault(row.truth.type, [])
            drawn = random.Random(f"{self.seed}/{row.truth.place(row.where)}").random()
            entry = (-drawn, number, row)  # the heap's first entry has the largest draw
            if len(kept) < self.limit:
                heapq.heappush(kept, entry)
            else:
                heapq.heappushpop(kept, entry)
            yield row

    @property
    def rows(self) -> list[QuestionRow]:
        """The sample, in the order in which the questions were read."""
        kept = sorted((entry[1:] for found in self._kept.values() for entry in found), key=_number)
        return [row for _, row in kept]


def _number(entry: tuple[int, QuestionRow]) -> int:
    return entry[0]


@dataclass(frozen=True, slots=True)
class _NaiveBayes:
    """Naive Bayes classifier over categorical features, with add-one smoothing."""

    classes: Mapping[int, int]
    features: Mapping[tuple[Hashable, int], int]

    @classmethod
    def train(cls, examples: Iterable[tuple[Features, int]]) -> _NaiveBayes:
        classes: Counter[int] = Counter()
        features: Counter[tuple[Hashable, int]] = Counter()
        for found, answer in examples:
            classes[answer] += 1
            features.update((feature, answer) for feature in found)
        return cls(classes, features)

    def log_odds(self, features: Features, answer: int) -> float:
        """Return the log-probability of an answer, up to a constant."""
        seen = self.classes.get(answer, 0)
        counts = (self.features.get((feature, answer), 0) for feature in features)
        return math.log(seen + 1) + sum(math.log((count + 1) / (seen + 2)) for count in counts)

    def predict(self, features: Features) -> int:
        return max(sorted(self.classes), key=lambda answer: self.log_odds(features, answer))


def _words(row: QuestionRow) -> Features:
    return tuple(dict.fromkeys(_WORD.findall(row.prompt.casefold())))


def _line_names(row: QuestionRow) -> Features:
    """Return the lines that the question names."""
    legs = row.truth.annotation.get("legs") or ()
    lines = [leg[0] for leg in legs if isinstance(leg, list | tuple) and leg]
    return tuple(dict.fromkeys(("line", str(line)) for line in (row.truth.line, *lines) if line))


def _structure(row: QuestionRow) -> Features:
    """Return what the question looks like, whatever the names are."""
    legs = [leg for leg in row.truth.annotation.get("legs") or () if isinstance(leg, list | tuple)]
    lines = [leg[0] for leg in legs if leg]
    stops = [stop for leg in legs for stop in leg[1:]]
    return (
        ("legs", len(legs)),
        ("a line twice", len(set(lines)) < len(lines)),
        ("repeated stops", len(stops) - len(set(stops))),
        ("characters", len(row.prompt) // 40),
        ("first stop is shorter", len(row.truth.station_1) < len(row.truth.station_2)),
    )


def _option_value(row: QuestionRow, index: int) -> Features:
    return (("value", row.truth.options[index]),)


def _option_distances(row: QuestionRow, index: int) -> Features:
    """Return how a numeric option compares with the others; nothing for names."""
    options = row.truth.options
    value = options[index]
    numbers = [option for option in options if isinstance(option, int)]
    if not isinstance(value, int) or len(numbers) < len(options):
        return ()
    below = sorted(value - other for other in numbers if other < value)
    above = sorted(other - value for other in numbers if other > value)
    return (
        ("value", value),
        ("rank", len(below)),
        ("nearest", *below[:1], "/", *above[:1]),
        ("farthest", *below[-1:], "/", *above[-1:]),
    )


def _predict_class(
    features: Callable[[QuestionRow], Features],
    train: Sequence[QuestionRow],
    test: Sequence[QuestionRow],
) -> list[int]:
    model = _NaiveBayes.train((features(row), row.truth.answer) for row in train)
    return [model.predict(features(row)) for row in test]


def _predict_option(
    features: Callable[[QuestionRow, int], Features],
    train: Sequence[QuestionRow],
    test: Sequence[QuestionRow],
) -> list[int]:
    """Choose the option that is most likely correct, judged one by one."""
    model = _NaiveBayes.train(
        (features(row, i), int(i == row.truth.answer))
        for row in train
        for i in range(len(row.truth.options))
    )

    def odds(row: QuestionRow, index: int) -> float:
        found = features(row, index)
        return model.log_odds(found, 1) - model.log_odds(found, 0)

    return [max(range(len(row.truth.options)), key=partial(odds, row)) for row in test]


_Policy = Callable[[Sequence[QuestionRow], Sequence[QuestionRow]], list[int]]


def _policies(rows: Sequence[QuestionRow]) -> dict[str, _Policy]:
    """Return the policies that apply to questions of one type, by name."""
    policies: dict[str, _Policy] = {
        "constant": partial(_predict_class, lambda row: ()),
        "structure": partial(_predict_class, _structure),
        "naive Bayes": partial(_predict_class, _words),
    }
    if any(_line_names(row) for row in rows):
        policies["line name"] = partial(_predict_class, _line_names)
    if all(len(row.truth.options) == 4 for row in rows):
        policies["option value"] = partial(_predict_option, _option_value)
        policies["option distances"] = partial(_predict_option, _option_distances)
    return policies


def _folds(rows: Sequence[QuestionRow]) -> Iterator[tuple[list[QuestionRow], list[QuestionRow]]]:
    """Yield training and test rows: no city is in both, if there is more than one."""
    cities = sorted({(row.truth.country, row.truth.city) for row in rows})
    folds = min(_MAX_FOLDS, len(cities))
    fold_of = {city: i % folds for i, city in enumerate(cities)}
    if folds == 1:
        yield list(rows[::2]), list(rows[1::2])
        return
    for fold in range(folds):
        inside = [fold_of[row.truth.country, row.truth.city] == fold for row in rows]
        yield (
            [row for row, test in zip(rows, inside, strict=True) if not test],
            [row for row, test in zip(rows, inside, strict=True) if test],
        )


def _evaluate(policy: _Policy, rows: Sequence[QuestionRow]) -> list[tuple[QuestionRow, int]]:
    """Return the answers of a policy to the questions of cities that it did not learn from."""
    return [
        (row, answer)
        for train, test in _folds(rows)
        if train
        for row, answer in zip(test, policy(train, test), strict=True)
    ]


def _accuracy(answers: Sequence[tuple[QuestionRow, int]]) -> float:
    hits = sum(row.truth.answer == answer for row, answer in answers)
    return hits / len(answers) if answers else 0.0


def _share(answers: Iterable[tuple[QuestionRow, str]], config: RewardConfig) -> float:
    """Return the reward of answers as a share of the reward of perfect ones."""
    earned = highest = 0.0
    for row, text in answers:
        earned += score_answer(text, row.truth, row.network, config).score
        highest += bounds(row.truth, config)[1]
    return earned / highest if highest else 0.0


def _short_leak(type: QuestionType, rows: Sequence[QuestionRow], config: RewardConfig) -> Leak:
    tried = {name: _evaluate(policy, rows) for name, policy in _policies(rows).items()}
    best = max(tried, key=lambda name: _accuracy(tried[name]))
    texts = ((row, short_answer(type.reading, answer)) for row, answer in tried[best])
    frequent = Counter(row.truth.answer for row in rows).most_common(1)[0][1]
    return Leak(
        type,
        len(rows),
        frequent / len(rows),
        best,
        _accuracy(tried[best]),
        _share(texts, config),
    )


def _planning_leak(rows: Sequence[QuestionRow], config: RewardConfig) -> Leak:
    """Measure a direct ride on the line that the training cities' routes use most often."""
    texts: list[tuple[QuestionRow, str]] = []
    for train, test in _folds(rows):
        used = Counter(
            str(leg.get("route_name", ""))
            for row in train
            for plan in row.truth.plans
            for leg in plan
        )
        line = used.most_common(1)[0][0] if used else "Line 1"
        for row in test:
            leg = LegText(line, row.truth.station_1, row.truth.station_2)
            texts.append((row, write_route((leg,), row.truth.form)))
    scores = [score_answer(text, row.truth, row.network, config).acc for row, text in texts]
    return Leak(
        QuestionType.PLANNING,
        len(rows),
        0.0,
        "direct ride",
        sum(scores) / len(scores) if scores else 0.0,
        _share(texts, config),
    )


def measure_leaks(rows: Iterable[QuestionRow], config: RewardConfig) -> list[Leak]:
    """Measure the best map-blind policy for every type of question.

    Args:
        rows: Questions with their prompts, best from many cities. Of a single city, one half is
            used for training.
        config: Settings of the reward, for ``Leak.reward_share``.
    """
    by_type: dict[QuestionType, list[QuestionRow]] = defaultdict(list)
    for row in rows:
        by_type[row.truth.type].append(row)
    return [
        _planning_leak(found, config)
        if type.reading is Reading.ROUTE
        else _short_leak(type, found, config)
        for type in QuestionType
        if (found := by_type.get(type))
    ]
