"""Settings of the pretraining of the embedded model: maps, steps and mixtures of tasks."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Phase", "PretrainSettings"]


class Phase(BaseModel):
    """One phase of the language model: its steps and its mixture of tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    steps: int = Field(ge=0)
    learning_rate: float = Field(gt=0)
    """Peak of the learning rate of AdamW; it warms up in 50 steps and decays as a cosine."""
    final: float = Field(default=0.05, ge=0, le=1)
    """Fraction of the learning rate that remains at the end."""
    shares: Mapping[str, float]
    """Relative number of tasks of each kind (``reading_tasks.KINDS``, ``ROUTE_FORM``, ``RIDE``)."""


class PretrainSettings(BaseModel):
    """Settings of a pretraining run. The defaults made the model in this package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 1
    maps: int = Field(default=10_000, ge=1)
    """Maps of the language model."""
    held_out: int = Field(default=80, ge=1)
    """Maps of the final evaluation."""
    vision_maps: int = Field(default=2_000, ge=1)
    vision_steps: int = Field(default=900, ge=1)
    batch: int = Field(default=64, ge=1)
    """Tasks per step of the language model."""
    phases: tuple[Phase, ...] = (
        Phase(
            name="reading",
            steps=1200,
            learning_rate=2e-3,
            final=0.1,
            shares={
                "map": 0.2,
                "line": 0.12,
                "stop": 0.1,
                "pair": 0.1,
                "place": 0.08,
                "meeting": 0.1,
                "TorF1": 0.1,
                "TorF2": 0.06,
                "Counting1": 0.06,
                "Counting2": 0.04,
                "Counting3": 0.02,
                "direct trip": 0.02,
            },
        ),
        Phase(
            name="answers",
            steps=800,
            learning_rate=1.5e-3,
            final=0.1,
            shares={
                "map": 0.02,
                "line": 0.08,
                "stop": 0.06,
                "pair": 0.12,
                "place": 0.12,
                "meeting": 0.14,
                "TorF1": 0.16,
                "TorF2": 0.1,
                "Counting1": 0.1,
                "Counting2": 0.05,
                "Counting3": 0.03,
                "direct trip": 0.02,
            },
        ),
        Phase(
            name="judgment",
            steps=400,
            learning_rate=1.5e-3,
            final=0.1,
            shares={
                "stop": 0.04,
                "pair": 0.06,
                "place": 0.05,
                "interchange": 0.2,
                "TorF1": 0.38,
                "TorF2": 0.18,
                "Counting1": 0.09,
            },
        ),
        Phase(
            name="verdicts",
            steps=350,
            learning_rate=1.5e-3,
            final=0.1,
            shares={
                "stop": 0.04,
                "pair": 0.06,
                "interchange": 0.1,
                "TorF1": 0.44,
                "TorF2": 0.28,
                "Counting1": 0.08,
            },
        ),
        Phase(
            name="mixture",
            steps=400,
            learning_rate=1.5e-3,
            final=0.1,
            shares={
                "line": 0.02,
                "stop": 0.05,
                "pair": 0.06,
                "place": 0.06,
                "meeting": 0.04,
                "interchange": 0.17,
                "TorF1": 0.16,
                "TorF2": 0.1,
                "Counting1": 0.2,
                "Counting2": 0.08,
                "Counting3": 0.06,
            },
        ),
        Phase(
            name="interchanges",
            steps=400,
            learning_rate=1.5e-3,
            final=0.1,
            shares={
                "stop": 0.03,
                "pair": 0.05,
                "place": 0.03,
                "interchange": 0.34,
                "TorF1": 0.18,
                "TorF2": 0.12,
                "Counting1": 0.15,
                "Counting2": 0.05,
                "Counting3": 0.05,
            },
        ),
        Phase(
            name="trips",
            steps=80,
            learning_rate=1e-3,
            shares={
                "stop": 0.05,
                "pair": 0.05,
                "place": 0.02,
                "interchange": 0.08,
                "TorF1": 0.15,
                "TorF2": 0.11,
                "Counting1": 0.13,
                "Counting2": 0.05,
                "Counting3": 0.05,
                "direct trip": 0.1,
                "one transfer": 0.15,
                "two transfers": 0.06,
            },
        ),
        Phase(
            name="crossings",
            steps=2400,
            learning_rate=1.5e-3,
            shares={
                "stop": 0.05,
                "pair": 0.09,
                "place": 0.02,
                "meeting": 0.04,
                "interchange": 0.5,
                "TorF1": 0.1,
                "TorF2": 0.06,
                "Counting1": 0.05,
                "Counting2": 0.04,
                "Counting3": 0.05,
            },
        ),
        Phase(
            name="form",
            steps=150,
            learning_rate=1.5e-3,
            final=0.1,
            shares={
                "form": 0.35,
                "stop": 0.06,
                "pair": 0.06,
                "place": 0.02,
                "interchange": 0.2,
                "meeting": 0.04,
                "TorF1": 0.1,
                "TorF2": 0.06,
                "Counting2": 0.04,
                "Counting3": 0.04,
                "Counting1": 0.03,
            },
        ),
        Phase(
            name="routes",
            steps=60,
            learning_rate=1e-3,
            final=0.1,
            shares={
                "form": 0.2,
                "stop": 0.06,
                "pair": 0.06,
                "place": 0.02,
                "interchange": 0.15,
                "meeting": 0.04,
                "TorF1": 0.06,
                "TorF2": 0.04,
                "Counting2": 0.04,
                "Counting3": 0.04,
                "Counting1": 0.02,
                "direct trip": 0.09,
                "one transfer": 0.12,
                "two transfers": 0.06,
            },
        ),
        Phase(
            name="routes2",
            steps=90,
            learning_rate=1.2e-3,
            final=0.1,
            shares={
                "form": 0.15,
                "stop": 0.06,
                "pair": 0.06,
                "place": 0.02,
                "interchange": 0.15,
                "meeting": 0.04,
                "TorF1": 0.06,
                "TorF2": 0.04,
                "Counting2": 0.04,
                "Counting3": 0.04,
                "Counting1": 0.02,
                "direct trip": 0.09,
                "one transfer": 0.18,
                "two transfers": 0.1,
            },
        ),
        Phase(
            name="rides",
            steps=200,
            learning_rate=1.5e-3,
            final=0.1,
            shares={
                "ride": 0.4,
                "form": 0.08,
                "stop": 0.06,
                "pair": 0.08,
                "place": 0.02,
                "interchange": 0.14,
                "meeting": 0.02,
                "TorF1": 0.08,
                "TorF2": 0.04,
                "Counting2": 0.04,
                "Counting3": 0.04,
            },
        ),
        Phase(
            name="rides2",
            steps=800,
            learning_rate=1.5e-3,
            final=0.1,
            shares={
                "ride": 0.45,
                "form": 0.06,
                "stop": 0.06,
                "pair": 0.07,
                "place": 0.02,
                "interchange": 0.12,
                "meeting": 0.02,
                "TorF1": 0.08,
                "TorF2": 0.04,
                "Counting2": 0.04,
                "Counting3": 0.04,
            },
        ),
        Phase(
            name="trips2",
            steps=14,
            learning_rate=1e-3,
            final=0.1,
            shares={
                "ride": 0.25,
                "form": 0.05,
                "stop": 0.06,
                "pair": 0.06,
                "place": 0.02,
                "interchange": 0.12,
                "meeting": 0.02,
                "TorF1": 0.06,
                "TorF2": 0.04,
                "Counting2": 0.04,
                "Counting3": 0.04,
                "direct trip": 0.09,
                "one transfer": 0.12,
                "two transfers": 0.06,
            },
        ),
    )
    """Phases of the language model. A mixture of all types does not teach true/false questions:
    after 2,000 steps they were at chance, so two phases ask little else. Where two lines meet is
    learned last and suddenly, between steps 700 and 1,500 of a phase that asks little else. The
    form of a route is learned on blank maps, and in the phase of rides to read the map within a
    route. Trips are few and come last, so that planning is rare when RL begins."""
