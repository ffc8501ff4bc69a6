"""Router of maps: verl's client and router interface, with stand-ins for engines."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from PIL import Image

pytest.importorskip("verl")

from verl.workers.rollout import router as verl_router
from verl.workers.rollout.llm_server import LLMServerClient

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.verl_plugin.agent_loop import prepared_images
from rewardmap_verl.verl_plugin.map_router import MapRouter, RouterSettings
from rewardmap_verl.verl_plugin.router_path import engine_count

ENGINES, MAPS, ANSWERS = 4, 16, 8
FILE = Path(__file__).resolve().parents[2] / "recipes" / "map_router.yaml"


def maps_in(folder: Path, count: int) -> list[list[Any]]:
    """The images of ``count`` prompts, each about a map of its own."""
    prompts = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (56, 56, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        item = {"type": "image", "image": str(folder / f"{number}.png")}
        prompts.append(prepared_images([{"role": "user", "content": [item]}], 14, 2**20) or [])
    return prompts


class Actor:
    """An object that is called as a Ray actor is, with arguments that were pickled."""

    def __init__(self, instance: Any) -> None:
        self._instance = instance

    def __getattr__(self, name: str) -> Any:
        def remote(*args: Any, **kwargs: Any) -> asyncio.Future[Any]:
            args, kwargs = pickle.loads(pickle.dumps((args, kwargs)))
            result = getattr(self._instance, name)(*args, **kwargs)
            if not asyncio.iscoroutine(result):
                done = asyncio.get_running_loop().create_future()
                done.set_result(result)
                return done
            return asyncio.ensure_future(result)

        return SimpleNamespace(remote=remote)


class Engine:
    """Processes each map that it has not seen yet, and answers a little later."""

    def __init__(self) -> None:
        self.processed: list[Any] = []
        self.requests = 0

    async def generate(self, *, image_data: list[Any], **_: Any) -> Any:
        """One answer, as vLLM's server gives it."""
        self.requests += 1
        identity = image_data[0].identity()
        if identity not in self.processed:
            self.processed.append(identity)
        await asyncio.sleep(0.01)
        return SimpleNamespace(token_ids=[1], extra_fields={})


Rollout = Callable[..., list[Engine]]


@pytest.fixture
def rollout(monkeypatch: pytest.MonkeyPatch) -> Rollout:
    """A function that sends prompts through verl's client, and returns the engines afterwards."""

    def in_process(kind: type) -> Any:
        return SimpleNamespace(remote=lambda *args, **kwargs: Actor(kind(*args, **kwargs)))

    ray = SimpleNamespace(remote=in_process, actor=verl_router.ray.actor)
    monkeypatch.setattr(verl_router, "ray", ray)

    def send(
        prompts: list[list[Any]], steps: int = 1, path: str | None = str(FILE)
    ) -> list[Engine]:
        engines = [Engine() for _ in range(ENGINES)]
        servers = {f"10.0.0.{number}": Actor(one) for number, one in enumerate(engines)}
        router = verl_router.get_router_handle(servers, router_config_path=path)
        config = OmegaConf.create({"actor_rollout_ref": {"rollout": {"name": "vllm"}}})
        client = LLMServerClient(config, router)

        async def step(number: int) -> None:
            requests = [
                client.generate(
                    f"{number}-{prompt}-{answer}",
                    prompt_ids=[1, 2],
                    sampling_params={},
                    image_data=images,
                )
                for prompt, images in enumerate(prompts)
                for answer in range(ANSWERS)
            ]
            await asyncio.gather(*requests)

        async def run() -> None:
            for number in range(steps):
                await step(number)

        asyncio.run(run())
        return engines

    return send


def test_each_map_is_processed_once_per_step(rollout: Rollout, tmp_path: Path) -> None:
    engines = rollout(maps_in(tmp_path, MAPS))
    assert sum(len(engine.processed) for engine in engines) == MAPS
    assert [engine.requests for engine in engines] == [MAPS * ANSWERS // ENGINES] * ENGINES


def test_verls_own_router_processes_a_map_on_every_engine(rollout: Rollout, tmp_path: Path) -> None:
    engines = rollout(maps_in(tmp_path, MAPS), path=None)
    assert sum(len(engine.processed) for engine in engines) > 2 * MAPS


def test_prompts_about_one_map_share_its_engine(rollout: Rollout, tmp_path: Path) -> None:
    """Three questions about each of four maps."""
    engines = rollout(maps_in(tmp_path, ENGINES) * 3)
    assert [len(engine.processed) for engine in engines] == [1] * ENGINES


def test_a_single_map_keeps_no_engine_waiting(rollout: Rollout, tmp_path: Path) -> None:
    engines = rollout(maps_in(tmp_path, 1) * 16)
    lead = RouterSettings.model_fields["max_lead"].default
    assert [engine.requests for engine in engines] == [lead] * ENGINES


@pytest.fixture
def router() -> MapRouter:
    return MapRouter({"a": 1, "b": 2}, {"router_class": "MapRouter", "max_lead": 3})


def test_maps_are_assigned_anew_when_nothing_runs(router: MapRouter, tmp_path: Path) -> None:
    first, second = maps_in(tmp_path, 2)
    assert router.acquire_server("0", first) == ("a", 1)
    assert router.acquire_server("1", second) == ("b", 2)
    router.release_server("a")
    assert router.acquire_server("2", second)[0] == "b", "while another request runs"
    router.release_server("b")
    router.release_server("b")
    assert router.acquire_server("3", second)[0] == "a"
    assert router.acquire_server("0", second)[0] == "a", "a later turn of request 0"


def test_a_map_moves_when_its_engine_is_too_busy(router: MapRouter, tmp_path: Path) -> None:
    (images,) = maps_in(tmp_path, 1)
    servers = [router.acquire_server(str(number), images)[0] for number in range(10)]
    assert "".join(servers) == "aaabbbbbba"


def test_engines_come_and_go(router: MapRouter, tmp_path: Path) -> None:
    (images,) = maps_in(tmp_path, 1)
    assert router.acquire_server("0", images)[0] == "a"
    router.remove_servers(["a"])
    assert router.acquire_server("1", images)[0] == "b"
    assert router.acquire_server("0", images)[0] == "b"
    router.add_servers({"c": 3})
    assert router.clear_sticky_cache()["cleared_entries"] == 2
    assert router.acquire_server("2", images) == ("c", 3)
    router.remove_servers(["b", "c"])
    with pytest.raises(RuntimeError, match="No available servers"):
        router.acquire_server("3", images)


def test_other_prompts_are_left_to_verl(router: MapRouter) -> None:
    for number, images in enumerate((None, [], [Image.new("RGB", (8, 8))], ["map.png"])):
        server, _ = router.acquire_server(str(number), images)
        router.release_server(server)
    assert router.get_status()["total_inflight"] == 0


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"map_router\.max_lead"):
        MapRouter({}, {"router_class": "MapRouter", "max_lead": 0})


@pytest.fixture(scope="module")
def hydra() -> Iterator[None]:
    with initialize_config_module("verl.trainer.config", version_base=None):
        yield


ROLLOUT = "actor_rollout_ref.rollout."


@pytest.mark.parametrize(
    ("words", "engines", "is_used"),
    [
        ([], 4, True),
        (["trainer.n_gpus_per_node=2"], 1, False),
        (["trainer.n_gpus_per_node=2", "trainer.nnodes=2"], 2, True),
        (["+recipe/rewardmap=[lora,one_gpu]"], 1, False),
        (["+recipe/rewardmap=[cpu]"], 1, False),
        (["+recipe/rewardmap=[cpu]", "trainer.n_gpus_per_node=2"], 2, True),
        (["+recipe/rewardmap=[zoom]"], 4, True),
        ([f"{ROLLOUT}agent.default_agent_loop=rewardmap_zoom"], 4, True),
        ([f"{ROLLOUT}agent.default_agent_loop=single_turn_agent"], 4, False),
        ([f"{ROLLOUT}full_determinism=True"], 4, False),
        ([f"{ROLLOUT}tensor_model_parallel_size=0"], 1, False),
        ([f"{ROLLOUT}router_config_path=null"], 4, False),
    ],
)
def test_runs_with_several_engines_use_it(
    hydra: None, words: list[str], engines: int, is_used: bool
) -> None:
    config = compose("ppo_trainer", ["+recipe=rewardmap", *words])
    assert engine_count(config) == engines
    path = config.actor_rollout_ref.rollout.router_config_path
    assert path == (str(FILE) if is_used else None)
