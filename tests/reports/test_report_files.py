"""What a report reads and writes, without a browser."""

from __future__ import annotations

import json
import math
import re
import shutil
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from omegaconf import OmegaConf
from PIL import Image
from typer.testing import CliRunner

from rewardmap_verl.checkpoints.run_metadata import METADATA_NAME, write_run_metadata
from rewardmap_verl.commands.main import app
from rewardmap_verl.drawing.line_geometry import LineGeometry, read_line_geometry, stops_of_ride
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.manifest import MapRecord, read_manifest
from rewardmap_verl.reports.logs import match
from rewardmap_verl.reports.pictures import LARGEST_SIDE, write_picture
from rewardmap_verl.reports.prepared import PreparedMap
from rewardmap_verl.reports.report import Report, write_report
from rewardmap_verl.reports.runs import read_run
from rewardmap_verl.reports.scripts import as_script
from rewardmap_verl.transit.city_titles import city_title
from rewardmap_verl.transit.reader import read_network


def taken(path: Path) -> Any:
    """What a script hands to the page."""
    found = re.fullmatch(r'report\.take\("[^"]*",(.*)\);\n', path.read_text("ascii"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def index_of(report: Report) -> dict[str, Any]:
    """The index of the rollouts, its groups as mappings."""
    index = taken(report.page.parent / "data" / "index.js")
    index["groups"] = [dict(zip(index["columns"], row, strict=True)) for row in index["groups"]]
    return index


def details_of(report: Report) -> list[dict[str, Any]]:
    folder = report.page.parent / "data"
    pieces = sorted(folder.glob("rollouts-*.js"), key=lambda path: int(path.stem.split("-")[1]))
    return [detail for piece in pieces for detail in taken(piece)]


def copy_of(run: Path, folder: Path) -> Path:
    return Path(shutil.copytree(run, folder))


# What is written


def test_every_dumped_answer_is_in_the_report(report: Report, run_folder: Path) -> None:
    dumped = [
        json.loads(line)
        for path in run_folder.rglob("*.jsonl")
        if path.stem.isdigit()
        for line in path.read_text("utf-8").splitlines()
    ]
    index, details = index_of(report), details_of(report)
    assert report.answers == len(dumped) == sum(len(group["rewards"]) for group in index["groups"])
    assert len(index["groups"]) == len(details) == report.groups
    shown = sorted(
        answer["text"]
        for detail in details
        for answer in (detail["answers"][place] for place in detail["order"])
    )
    assert shown == sorted(line["output"] for line in dumped)


def test_rewards_are_those_recorded_and_the_trace_adds_up(report: Report) -> None:
    for group, detail in zip(index_of(report)["groups"], details_of(report), strict=True):
        for reward, recorded, place in zip(
            group["rewards"], detail["recorded"], detail["order"], strict=True
        ):
            answer = detail["answers"][place]
            assert reward == pytest.approx(recorded, abs=1e-3)
            parts = sum(value * times for _, value, _, times in answer["parts"])
            assert answer["weight"] * parts == pytest.approx(recorded, abs=1e-2)
            assert 0 <= reward <= group["highest"] + 1e-3


def test_the_question_is_the_row_s_and_gold_earns_the_most(report: Report) -> None:
    for group, detail in zip(index_of(report)["groups"], details_of(report), strict=True):
        assert detail["question"] and "<image>" not in detail["question"]
        assert "assistant" not in detail["question"]
        for place, reward in zip(detail["order"], group["rewards"], strict=True):
            if detail["answers"][place]["text"] == detail["gold"]:
                assert reward == pytest.approx(group["highest"], abs=1e-3)


def test_stages_come_from_the_record(report: Report) -> None:
    for group in index_of(report)["groups"]:
        wanted = "planning" if group["type"] == "planning" else "perception"
        assert group["stage"] == ("validation" if group["part"] == "val" else wanted)


def test_each_map_is_there_once(report: Report) -> None:
    index = index_of(report)
    images = [found["image"] for found in index["maps"]]
    assert len(images) == len(set(images))
    for found in index["maps"]:
        with Image.open(report.page.parent / found["image"]) as image:
            assert image.size == (found["width"], found["height"])


def test_gold_routes_run_from_the_first_stop_to_the_last(report: Report, prepared: Path) -> None:
    maps = {city_title(m.country, m.city): m for m in read_manifest(prepared).maps}
    planned = 0
    for group, detail in zip(index_of(report)["groups"], details_of(report), strict=True):
        if not detail["route"]:
            continue
        planned += 1
        network = read_network(prepared / maps[group["city"]].network)
        positions = json.loads((prepared / maps[group["city"]].positions).read_bytes())
        ends = [[float(v) for v in pair.split(",")] for leg in detail["route"]
                for pair in (leg[6].split()[0], leg[6].split()[-1])]  # fmt: skip
        names = (detail["route"][0][2], detail["route"][-1][3])
        for point, name in zip((ends[0], ends[-1]), names, strict=True):
            stops = [positions["stops"][stop.index] for stop in network.find_stops(name)]
            assert min(math.dist(point, stop) for stop in stops) < 6
        assert all(leg[4] for leg in detail["route"])
    assert planned


def test_hostile_text_cannot_leave_a_script(simulated: ModuleType, report: Report) -> None:
    text = as_script("x", list(simulated.HOSTILE))
    assert "<" not in text and "&" not in text and text.isascii()
    assert json.loads(text.removeprefix('report.take("x",').removesuffix(");\n")) == list(
        simulated.HOSTILE
    )
    for path in (report.page.parent / "data").iterdir():
        assert "<" not in path.read_text("ascii")
    with pytest.raises(ValueError):
        as_script("x", math.nan)


def test_a_run_named_like_html_stays_text(
    run_folder: Path, tmp_path: Path, simulated: ModuleType
) -> None:
    run = copy_of(run_folder, tmp_path / "<b onclick=x>")
    page = write_report([run], tmp_path / "out").page.read_text("utf-8")
    assert "<b onclick" not in page and "&lt;b onclick=x&gt;" in page


def test_two_runs_are_shown_side_by_side(run_folder: Path, tmp_path: Path) -> None:
    other = copy_of(run_folder, tmp_path / "plain")
    done = write_report([run_folder, other], tmp_path / "out")
    assert done.runs == ("plain", "plain (2)")
    assert {group["run"] for group in index_of(done)["groups"]} == {0, 1}
    reward = taken(tmp_path / "out" / "data" / "charts.js")[0]["figure"]["data"]
    assert [trace["name"] for trace in reward] == ["plain", "plain (2)"]
    assert reward[0]["y"] == reward[1]["y"]


def test_large_maps_are_shown_reduced_and_kept_at_full_size(tmp_path: Path) -> None:
    source = tmp_path / "data" / "images" / "large.png"
    source.parent.mkdir(parents=True)
    Image.new("RGB", (6000, 4000), "white").save(source)
    record = MapRecord(
        country="x", city="y", splits=("train",), difficulty="easy", lines=1, stops=2, identity="",
        image="images/large.png", width=6000, height=4000, image_tokens=1, network="",
    )  # fmt: skip
    (tmp_path / "out").mkdir()
    shown = write_picture(PreparedMap(tmp_path / "data", record), tmp_path / "out", 0)
    with Image.open(tmp_path / "out" / shown["image"]) as image:
        assert max(image.size) == LARGEST_SIDE
    with Image.open(tmp_path / "out" / shown["full"]) as image:
        assert image.size == (6000, 4000)


def test_tables_of_evaluations_are_shown(prepared: Path, run_folder: Path, tmp_path: Path) -> None:
    words = ["evaluate", "planner", str(prepared), "--out", str(tmp_path / "e"), "--no-baselines"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    page = write_report([run_folder], tmp_path / "out", evaluations=[tmp_path / "e"]).page
    text = page.read_text("utf-8")
    assert "Plus count" in text and re.search(r'<th scope="row">[^<]*planner', text)
    (tmp_path / "e" / "results.json").write_text('{"rewardmap_results": 99}', "utf-8")
    with pytest.raises(DataError, match="rewardmap_results"):
        write_report([run_folder], tmp_path / "again", evaluations=[tmp_path / "e"])


# Bad and unfinished input


def test_an_unfinished_run_is_reported_as_far_as_it_is(run_folder: Path, tmp_path: Path) -> None:
    run = copy_of(run_folder, tmp_path / "run")
    record = run / "rewardmap_record.jsonl"
    lines = record.read_text("utf-8").splitlines()
    record.write_text("\n".join(lines[:-1]) + '\n{"part": "train", "st', "utf-8")
    done = write_report([run], tmp_path / "out")
    assert any("has not ended: 6 steps" in note for note in done.notes)
    assert done.answers


def test_a_run_without_rollouts_has_curves_and_tables(run_folder: Path, tmp_path: Path) -> None:
    run = copy_of(run_folder, tmp_path / "run")
    for name in ("rollouts", "validation"):
        shutil.rmtree(run / name)
    done = write_report([run], tmp_path / "out")
    assert done.groups == 0 and any("dumped no rollouts" in note for note in done.notes)
    page = done.page.read_text("utf-8")
    assert "The run dumped no rollouts" in page and "Groups without signal" in page


def test_rollouts_without_a_record_are_shown(run_folder: Path, tmp_path: Path) -> None:
    run = copy_of(run_folder, tmp_path / "run")
    (run / "rewardmap_record.jsonl").unlink()
    done = write_report([run], tmp_path / "out")
    assert done.answers and any("has no record" in note for note in done.notes)


def test_without_prepared_data_answers_are_shown_bare(run_folder: Path, tmp_path: Path) -> None:
    run = copy_of(run_folder, tmp_path / "run")
    (run / METADATA_NAME).unlink()
    done = write_report([run], tmp_path / "out")
    assert any("--data" in note for note in done.notes)
    assert all("parts" not in answer for detail in details_of(done) for answer in detail["answers"])
    again = write_report([run], tmp_path / "again", data=[_data(run_folder)])
    assert all("parts" in answer for detail in details_of(again) for answer in detail["answers"])


def _data(run: Path) -> Path:
    return Path(read_run(run).setting("data.folder"))


def test_other_reward_settings_are_reported(run_folder: Path, tmp_path: Path) -> None:
    from rewardmap_verl.rewards.config import load_reward_config

    config = load_reward_config({"correctness": 20.0})
    done = write_report([run_folder], tmp_path / "out", config=config)
    assert any("differs from the recomputed one" in note for note in done.notes)
    assert not any("recomputed" in note for note in write_report(
        [run_folder], tmp_path / "own").notes)  # fmt: skip


def test_broken_lines_are_named_and_the_rest_is_shown(run_folder: Path, tmp_path: Path) -> None:
    run = copy_of(run_folder, tmp_path / "run")
    dump = run / "rollouts" / "1.jsonl"
    dump.write_text(
        '{"cut off\n[1]\n{"gts": "{}", "output": 3}\n' + dump.read_text("utf-8"), "utf-8"
    )
    whole = write_report([run_folder], tmp_path / "whole")
    done = write_report([run], tmp_path / "out")
    assert done.answers == whole.answers
    assert sum("1.jsonl: " in note for note in done.notes) == 3


@pytest.mark.parametrize(
    "break_it",
    [
        lambda run: (run / METADATA_NAME).write_text("rewardmap_run: {format: 99}", "utf-8"),
        lambda run: (run / METADATA_NAME).write_text("just text", "utf-8"),
        lambda run: (run / "rewardmap_record.jsonl").write_text('{"part": "train"}\n', "utf-8"),
    ],
)
def test_a_run_of_another_version_is_refused(
    run_folder: Path, tmp_path: Path, break_it: Any
) -> None:
    run = copy_of(run_folder, tmp_path / "run")
    break_it(run)
    with pytest.raises(DataError, match=r"version"):
        write_report([run], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_that_are_no_run_or_several_are_refused(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="neither"):
        read_run(tmp_path / "empty")
    with pytest.raises(DataError, match="no such folder"):
        read_run(tmp_path / "nowhere")
    copy_of(run_folder, tmp_path / "both" / "a")
    copy_of(run_folder, tmp_path / "both" / "b")
    with pytest.raises(DataError, match="several runs"):
        read_run(tmp_path / "both")


def test_settings_at_fault_are_named(
    run_folder: Path, tmp_path: Path, simulated: ModuleType
) -> None:
    run = copy_of(run_folder, tmp_path / "run")
    simulated.write_settings(run, {"reward": {"rewardmap": {"alpah": 1}}})
    with pytest.raises(ConfigError, match="alpah"):
        write_report([run], tmp_path / "out")


def test_nothing_but_a_report_is_replaced(run_folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work", "utf-8")
    with pytest.raises(DataError, match=r"has no report\.json"):
        write_report([run_folder], mine)
    assert (mine / "thesis.txt").exists()
    write_report([run_folder], tmp_path / "out")
    (tmp_path / "out" / "old.txt").write_text("", "utf-8")
    write_report([run_folder], tmp_path / "out")
    assert not (tmp_path / "out" / "old.txt").exists()


def test_a_failure_leaves_the_older_report(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write_report([run_folder], tmp_path / "out").page
    before = page.read_bytes()

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("rewardmap_verl.reports.report.make_charts", fail)
    with pytest.raises(DataError, match="The disk is full"):
        write_report([run_folder], tmp_path / "out")
    assert page.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_command_reports_and_names_faults(run_folder: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["report", str(run_folder), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "index.html").is_file()
    failed = runner.invoke(app, ["report", str(tmp_path / "nowhere")])
    assert failed.exit_code == 2 and "no such folder" in failed.output


# The pieces


def test_a_point_belongs_to_the_run_that_was_at_that_step() -> None:
    times = {1: 100.0, 2: 110.0, 3: 120.0}
    points = [(1, 104.0, 0.1), (1, 5000.0, 0.9), (2, 90.0, 0.8), (2, 113.0, 0.2), (4, 130.0, 0.4)]
    assert match(points, times) == ((1, 0.1), (2, 0.2))
    assert match(points, {}) == ()


def test_tensorboard_s_curves_are_read(run_folder: Path, tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    run = copy_of(run_folder, tmp_path / "run")
    times = {e.step: e.time for e in read_run(run).entries if e.part == "train"}
    writer = tensorboard.SummaryWriter(str(tmp_path / "logs"))
    for step, time in times.items():
        writer.add_scalar("actor/kl_loss", step / 10, step, walltime=time + 1)
        writer.add_scalar("actor/kl_loss", 99.0, step, walltime=time + 10_000)
    writer.close()
    curve = read_run(run, [tmp_path / "logs"]).curves["actor/kl_loss"]
    assert [step for step, _ in curve] == sorted(times)
    assert [value for _, value in curve] == pytest.approx([step / 10 for step in sorted(times)])


def all_tracks(prepared: Path) -> list[LineGeometry]:
    return [
        read_line_geometry(prepared / m.positions, read_network(prepared / m.network))
        for m in read_manifest(prepared).maps
    ]


def test_rides_follow_the_drawn_line(prepared: Path) -> None:
    for geometry in all_tracks(prepared):
        for line, curves in zip(geometry.network.lines, geometry.curves, strict=True):
            drawn = {point for curve in curves for point in curve}
            for departure, arrival in pairwise([*line.stops, line.stops[0]]):
                if departure == arrival:
                    continue
                way = geometry.ride(line, departure, arrival)
                assert way[0] == geometry.calls[departure][line.name]
                assert way[-1] == geometry.calls[arrival][line.name]
                assert set(way) <= drawn
                assert way[::-1] == geometry.ride(line, arrival, departure)
                passed = stops_of_ride(line, departure, arrival)
                assert all(geometry.calls[stop][line.name] in way for stop in passed)


def test_positions_of_another_network_are_refused(prepared: Path) -> None:
    first, second, *_ = read_manifest(prepared).maps
    with pytest.raises(DataError, match=r"(?i)prepare the data again"):
        read_line_geometry(prepared / first.positions, read_network(prepared / second.network))


def test_the_metadata_have_the_full_configuration(tmp_path: Path) -> None:
    config = OmegaConf.create(
        {"a": 3, "trainer": {"v1": {"kwargs": {"record": "${b.c}"}}}, "b": {"c": "x"}}
    )
    write_run_metadata(tmp_path, config.trainer.v1.kwargs)
    note = OmegaConf.load(tmp_path / METADATA_NAME)
    assert note.a == 3 and note.trainer.v1.kwargs.record == "x"
    assert note.rewardmap_run.format == 1
    broken = OmegaConf.create({"a": "${nowhere.b}", "c": {"d": 1}})
    write_run_metadata(tmp_path / "broken", broken.c)
    assert "${nowhere.b}" in (tmp_path / "broken" / METADATA_NAME).read_text("utf-8")
    write_run_metadata(tmp_path / "none", {"record": "x"})
    assert not (tmp_path / "none").exists()
