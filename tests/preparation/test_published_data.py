"""The published data sets: small sets of exactly their schemas, every form of figure and json."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.manifest import Manifest, read_manifest
from rewardmap_verl.preparation.map_jobs import MapProgress
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.records import read_prepared_questions
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.questions.sampling import Quotas
from rewardmap_verl.questions.wording import FORMS
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.score import bounds, score_answer
from rewardmap_verl.transit.reader import read_network

datasets = pytest.importorskip("datasets")

LINES = {
    "north/alpha": {
        "Line 1": ["Ash", "Birch", "Cedar (Transfer Station)", "Dogwood"],
        "Line 2": ["Fir", "Cedar (Transfer Station)", "Gorse"],
    },
    "south/gamma": {
        "Line 1": ["Apple", "Banana", "Cherry", "Date"],
        "Line 4": ["Elder", "Cherry", "Fig"],
    },
}
LEVEL = {"north/alpha": "easy", "south/gamma": "middle"}

Make = Callable[..., PrepareSettings]


def picture(key: str) -> Image.Image:
    return Image.new("RGB", (168, 140), {"north/alpha": "red", "south/gamma": "blue"}[key])


def file_bytes(key: str) -> bytes:
    buffer = io.BytesIO()
    picture(key).save(buffer, "PNG")
    return buffer.getvalue()


def plus_row(key: str, kind: str, **changes: Any) -> dict[str, Any]:
    """A row with the columns of ReasonMap-Plus and ReasonMap-Train."""
    country, city = key.split("/")
    stops = [stop.split(" (")[0] for stop in next(iter(LINES[key].values()))]
    answers = {"TorF1": 1, "TorF2": 0, "Counting1": 2, "Counting2": 2, "Counting3": 2}
    row = {
        "country": country,
        "city": city,
        "station_1": "" if kind == "Counting3" else stops[0],
        "station_2": stops[2] if kind in ("TorF1", "Counting1", "planning") else "",
        "question": f"A {kind} question about {city}? Answer in \\boxed{{}}.",
        "answer": answers.get(kind, -1),
        "type": kind,
        "difficulty_city": LEVEL[key],
        "difficulty_question": "easy",
        "city_line_count": 2,
        "city_transfer_count": 1,
        "question_transfer_count": 0,
        "figure": f"./maps/{key}.png",
        "json": f"./stations/{key}.json",
    }
    return row | changes


KINDS = ("TorF1", "TorF2", "Counting1", "Counting2", "Counting3")


def reasonmap_row(key: str, **changes: Any) -> dict[str, Any]:
    """A row with the columns of ReasonMap: two wordings, routes, map and network in the row."""
    country, city = key.split("/")
    stops = [stop.split(" (")[0] for stop in next(iter(LINES[key].values()))]
    leg = {
        "route_name": "地铁1号线(苹果--枣)",
        "departure_stop": stops[0],
        "arrival_stop": stops[2],
        "via_stops": [stops[1]],
        "num_via_stops": 1,
    }
    row = {
        "country": country,
        "city": city,
        "station_1": stops[0],
        "station_2": stops[2],
        "question_short": "How to get there? Route Name: Line x",
        "question_long": "How to get there? Route Name: Line x\nNumber of Via Stops: x",
        "difficulty_city": LEVEL[key],
        "difficulty_question": "easy",
        "city_line_count": 2,
        "city_transfer_count": 1,
        "question_transfer_count": 0,
        "routes": {"0": [leg]},
        "figure": base64.b64encode(file_bytes(key)).decode(),
        "json": LINES[key],
    }
    return row | changes


def save(folder: Path, splits: dict[str, list[dict[str, Any]]]) -> str:
    """Save as ``save_to_disk`` does."""
    parts = {name: datasets.Dataset.from_list(rows) for name, rows in splits.items()}
    datasets.DatasetDict(parts).save_to_disk(str(folder))
    return str(folder)


def save_parquet(folder: Path, splits: dict[str, list[dict[str, Any]]]) -> str:
    """Save as on the hub: data/<split>.parquet."""
    (folder / "data").mkdir(parents=True)
    for name, rows in splits.items():
        datasets.Dataset.from_list(rows).to_parquet(str(folder / "data" / f"{name}.parquet"))
    return str(folder)


def plus_splits() -> dict[str, list[dict[str, Any]]]:
    return {
        "train": [plus_row("north/alpha", kind) for kind in (*KINDS, "planning")],
        "test": [plus_row("south/gamma", kind) for kind in KINDS],
    }


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the maps and stations that rows refer to."""
    root = tmp_path / "files"
    for key, lines in LINES.items():
        for kind, name, content in (
            ("maps", f"{key}.png", file_bytes(key)),
            ("stations", f"{key}.json", json.dumps(lines).encode()),
        ):
            path = root / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return root


@pytest.fixture
def published(local: Make) -> Make:
    """Settings of the source; no further sets are looked at."""

    def make(*data: str, **changes: Any) -> PrepareSettings:
        defaults = {"source": "reasonmap", "root": None, "data": data, "maps_from": ()}
        return local(**(defaults | changes))

    return make


def rows_of(settings: PrepareSettings, split: str) -> list[dict[str, Any]]:
    return pq.read_table(settings.out / f"{split}.parquet").to_pylist()


@pytest.mark.parametrize("save_as", [save, save_parquet])
def test_plus_and_train_as_they_are(
    published: Make, files: Path, tmp_path: Path, save_as: Callable[..., str]
) -> None:
    splits = plus_splits()
    settings = published(save_as(tmp_path / "plus", splits), root=files)
    manifest = prepare(settings)
    assert manifest.rows == {"train": 6, "test": 5}
    for split, source in splits.items():
        for row, original in zip(rows_of(settings, split), source, strict=True):
            truth = GroundTruth.from_json(row["reward_model"]["ground_truth"])
            assert row["prompt"][0]["content"] == f"<image>\n{original['question']}"
            assert row["extra_info"]["split"] == split
            for field in ("country", "city", "station_1", "station_2", "answer"):
                assert getattr(truth, field) == original[field]
            assert truth.type.value == original["type"]
            assert truth.difficulty_city == original["difficulty_city"]
            assert truth.form == ("short" if original["type"] == "planning" else "")


def test_reasonmap_rows_contain_map_and_network(published: Make, tmp_path: Path) -> None:
    name = save_parquet(
        tmp_path / "ReasonMap",
        {
            "reasonmap-1008-train": [reasonmap_row("north/alpha")],
            "reasonmap-1008-validation": [reasonmap_row("south/gamma")],
        },
    )
    settings = published(name, quotas=Quotas())
    manifest = prepare(settings)
    assert manifest.rows_by_type == {"train": {"planning": 2}, "test": {"planning": 2}}
    short, long = rows_of(settings, "train")
    assert (short["extra_info"]["form"], long["extra_info"]["form"]) == ("short", "long_count")
    truth = GroundTruth.from_json(short["reward_model"]["ground_truth"])
    assert truth.plans[0][0]["route_name"] == "地铁1号线(苹果--枣)"
    assert truth.plans[0][0]["num_via_stops"] == 1
    with Image.open(settings.out / short["images"][0]["image"]) as image:
        assert image.getpixel((50, 50)) == (255, 0, 0)


def image_struct(key: str) -> dict[str, Any]:
    return {"bytes": file_bytes(key), "path": f"{key}.png"}


COLUMNS: dict[str, Callable[[str], dict[str, Any]]] = {
    "image": lambda key: {"image": image_struct(key)},
    "images of EasyR1": lambda key: {"images": [image_struct(key)]},
    "images of verl": lambda key: {"images": [{"image": f"./maps/{key}.png"}]},
    "base64 in image": lambda key: {"image": base64.b64encode(file_bytes(key)).decode()},
}


@pytest.mark.parametrize("form", COLUMNS)
def test_images_in_the_columns_of_other_tools(
    published: Make, files: Path, tmp_path: Path, form: str
) -> None:
    splits = {
        name: [
            {column: value for column, value in row.items() if column != "figure"}
            | COLUMNS[form](f"{row['country']}/{row['city']}")
            for row in rows
        ]
        for name, rows in plus_splits().items()
    }
    settings = published(save_parquet(tmp_path / "set", splits), root=files)
    assert prepare(settings).rows == {"train": 6, "test": 5}
    red = prepare(settings).maps[0]
    with Image.open(settings.out / red.image) as image:
        assert image.getpixel((50, 50)) == (255, 0, 0)


def test_two_images_in_one_row(published: Make, files: Path, tmp_path: Path) -> None:
    splits = plus_splits()
    two = [image_struct("north/alpha"), image_struct("south/gamma")]
    splits["train"] = [row | {"figure": None, "images": two} for row in splits["train"]]
    with pytest.raises(DataError, match="row 0: images: found '2 images'"):
        prepare(published(save(tmp_path / "set", splits), root=files))


def test_a_map_without_an_image_names_the_columns(
    published: Make, files: Path, tmp_path: Path
) -> None:
    splits = plus_splits()
    (files / "stations/east").mkdir()
    epsilon = files / "stations/east/epsilon.json"
    epsilon.write_text(json.dumps(LINES["north/alpha"]), encoding="utf-8")
    changes = {"country": "east", "city": "epsilon", "json": "./stations/east/epsilon.json"}
    splits["train"].append(plus_row("north/alpha", "TorF1", figure=None, **changes))
    manifest = prepare(published(save(tmp_path / "set", splits), root=files))
    (skipped,) = manifest.skipped
    assert (skipped.country, skipped.city) == ("east", "epsilon")
    assert skipped.reason.startswith("no map image (the rows have the columns country, city")


def test_images_on_the_web_are_not_downloaded(published: Make, files: Path, tmp_path: Path) -> None:
    splits = plus_splits()
    for row in splits["test"]:
        row["figure"] = "https://example.org/maps/gamma.png"
    name = save(tmp_path / "set", splits)
    with pytest.raises(DataError) as caught:
        prepare(published(name, root=files))
    text = str(caught.value)
    assert "south/gamma: no map image (images are not downloaded from https://example.org" in text
    assert "Raise the quotas" not in text


@pytest.mark.parametrize(("split", "other"), [("train", "Plus:test"), ("test", "Train:train")])
def test_one_split_alone(
    published: Make, files: Path, tmp_path: Path, split: str, other: str
) -> None:
    name = save(tmp_path / "set", {split: plus_splits()[split]})
    with pytest.raises(DataError, match=f"has a .* split. Add one, such as --data .*{other}"):
        prepare(published(name, root=files))


def test_rows_that_only_name_their_map_find_it_in_another_set(
    published: Make, tmp_path: Path
) -> None:
    plus = save(tmp_path / "plus", plus_splits())
    both = [reasonmap_row("north/alpha"), reasonmap_row("south/gamma")]
    maps = save(tmp_path / "maps", {"train": both})
    with pytest.raises(DataError, match="Give --root"):
        prepare(published(plus))
    manifest = prepare(published(plus, maps_from=(maps,)))
    assert manifest.rows == {"train": 6, "test": 5}


FIGURES: dict[str, Callable[[], Any]] = {
    "path": lambda: "./maps/north/alpha.png",
    "path without a dot": lambda: "maps/north/alpha.png",
    "base64": lambda: base64.b64encode(file_bytes("north/alpha")).decode(),
    "base64 in lines": lambda: base64.encodebytes(file_bytes("north/alpha")).decode(),
    "data address": lambda: (
        "data:image/png;base64," + base64.b64encode(file_bytes("north/alpha")).decode()
    ),
    "bytes": lambda: file_bytes("north/alpha"),
    "feature": lambda: picture("north/alpha"),
}


@pytest.mark.parametrize("form", FIGURES)
def test_every_form_of_figure_gives_the_same_picture(
    published: Make, files: Path, tmp_path: Path, form: str
) -> None:
    rows = [plus_row("north/alpha", kind, figure=FIGURES[form]()) for kind in KINDS]
    train = datasets.Dataset.from_list(rows)
    if form == "feature":
        assert isinstance(train.features["figure"], datasets.Image)
    test = datasets.Dataset.from_list(plus_splits()["test"])
    train.save_to_disk(str(tmp_path / "a"))
    datasets.DatasetDict({"test": test}).save_to_disk(str(tmp_path / "b"))
    manifest = prepare(published(str(tmp_path / "a"), str(tmp_path / "b"), root=files))
    expected = prepare(
        published(save(tmp_path / "plain", plus_splits()), root=files, out=tmp_path / "expected")
    )
    assert manifest.maps[0].image == expected.maps[0].image


JSONS: dict[str, Callable[[], Any]] = {
    "path": lambda: "./stations/north/alpha.json",
    "text": lambda: json.dumps(LINES["north/alpha"]),
    "object": lambda: LINES["north/alpha"],
}


@pytest.mark.parametrize("form", JSONS)
def test_every_form_of_json_gives_the_same_network(
    published: Make, files: Path, tmp_path: Path, form: str
) -> None:
    train = [plus_row("north/alpha", kind, json=JSONS[form]()) for kind in KINDS]
    # A second city in the same set: ``datasets`` then gives each row the lines of both.
    gamma = LINES["south/gamma"] if form == "object" else json.dumps(LINES["south/gamma"])
    train.append(plus_row("south/gamma", "TorF2", json=gamma))
    a = save(tmp_path / "a", {"train": train[:-1], "test": train[-1:]})
    settings = published(a, root=files)
    prepare(settings)
    network = json.loads((settings.out / "networks/north/alpha.json").read_text())
    assert [line["name"] for line in network["lines"]] == ["Line 1", "Line 2"]
    assert [stop["name"] for stop in network["stops"]][:3] == ["Ash", "Birch", "Cedar"]


def test_the_same_question_in_two_sets_is_taken_once(
    published: Make, files: Path, tmp_path: Path
) -> None:
    one = save(tmp_path / "one", plus_splits())
    two = save(tmp_path / "two", plus_splits())
    assert prepare(published(one, two, root=files)).rows == {"train": 6, "test": 5}


def test_a_split_can_be_chosen(published: Make, files: Path, tmp_path: Path) -> None:
    name = save(tmp_path / "plus", plus_splits() | {"train": [plus_row("north/alpha", "TorF1")]})
    assert prepare(published(f"{name}:train", f"{name}:test", root=files)).rows["train"] == 1
    with pytest.raises(DataError, match=r"'dev'.*test, train"):
        prepare(published(f"{name}:dev", root=files))


def test_no_map_of_the_test_set_is_trained_on(published: Make, files: Path, tmp_path: Path) -> None:
    splits = plus_splits()
    splits["train"].append(plus_row("south/gamma", "TorF1", question="Leaked?"))
    name = save(tmp_path / "plus", splits)
    manifest = prepare(published(name, root=files))
    assert manifest.rows == {"train": 6, "test": 5}
    assert any("1 training question about test cities" in note for note in manifest.notes)
    with pytest.raises(DataError, match="training questions about test cities"):
        prepare(published(name, root=files, strict=True))


def test_forms_can_be_chosen(published: Make, tmp_path: Path) -> None:
    rows = {"train": [reasonmap_row("north/alpha")], "test": [reasonmap_row("south/gamma")]}
    name = save(tmp_path / "r", rows)
    for forms, count in ((("short",), 1), (("long_count", "long_via"), 1), (FORMS, 2)):
        manifest = prepare(published(name, quotas=Quotas(forms=forms)))
        assert manifest.rows == {"train": count, "test": count}


def test_preparing_again_does_nothing(published: Make, files: Path, tmp_path: Path) -> None:
    settings = published(save(tmp_path / "plus", plus_splits()), root=files)
    prepare(settings)
    steps: list[MapProgress] = []
    prepare(settings, steps.append)
    assert [step.total for step in steps] == [0]


def prepared_with(published: Make, files: Path, tmp_path: Path, **changes: Any) -> Manifest:
    splits = plus_splits()
    kind = changes.pop("of", "TorF1")
    splits["train"].append(plus_row("north/alpha", kind, question="The odd one?") | changes)
    return prepare(published(save(tmp_path / "odd", splits), root=files))


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("country", None, "TorF1"),
        ("country", "../north", "TorF1"),
        ("city", "", "TorF1"),
        ("city", "a/b", "TorF1"),
        ("city", "..", "TorF1"),
        ("station_1", None, "TorF1"),
        ("station_1", " ", "Counting2"),
        ("station_2", "", "Counting1"),
        ("question", None, "TorF1"),
        ("question", "", "TorF1"),
        ("answer", 2, "TorF1"),
        ("answer", None, "TorF2"),
        ("answer", 4, "Counting1"),
        ("answer", -1, "Counting2"),
        ("type", "TorF3", "TorF1"),
        ("type", None, "TorF1"),
        ("difficulty_city", "extreme", "TorF1"),
        ("difficulty_city", None, "TorF1"),
        ("question_transfer_count", -3, "planning"),
        ("question_transfer_count", None, "planning"),
    ],
)
def test_every_wrong_field_is_named_with_its_row(
    published: Make, files: Path, tmp_path: Path, field: str, value: object, kind: str
) -> None:
    with pytest.raises(DataError, match=rf"odd:train, row 6.*{field}"):
        prepared_with(published, files, tmp_path, of=kind, **{field: value})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("figure", "no base64 at all!", "not base64"),
        ("figure", "", "path below the data root"),
        ("figure", "../../secret.png", "stay inside"),
        ("figure", "/etc/map.png", "stay inside"),
        ("figure", "Zm9v", "cannot be read"),
        ("json", "../../secret.json", "stay inside"),
        ("json", '{"Line 1": [', "not JSON"),
        ("json", '{"Line 1": "Ash"}', "2 to 2000"),
        ("json", "", "JSON text or an object"),
    ],
)
def test_wrong_figures_and_networks_are_named(
    published: Make, files: Path, tmp_path: Path, field: str, value: str, message: str
) -> None:
    """They stand in the first row of their city: later rows need not be looked at."""
    splits = plus_splits()
    splits["train"][0][field] = value
    name = save(tmp_path / "odd", splits)
    with pytest.raises(DataError, match=message) as caught:
        prepare(published(name, root=files))
    assert "row 0" in str(caught.value)


def test_a_link_out_of_the_root(published: Make, files: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(file_bytes("north/alpha"))
    (files / "maps/north/alpha.png").unlink()
    (files / "maps/north/alpha.png").symlink_to(secret)
    with pytest.raises(DataError, match="through a link"):
        prepare(published(save(tmp_path / "plus", plus_splits()), root=files))


def test_a_stop_that_the_network_lacks(published: Make, files: Path, tmp_path: Path) -> None:
    manifest = prepared_with(published, files, tmp_path, station_1="Nowhere")
    assert manifest.rows["train"] == 6
    assert any("'Nowhere'" in note for note in manifest.notes)


@pytest.mark.parametrize("name", ["", "nothing/here/at/all", "./nothing"])
def test_a_missing_set(published: Make, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="Give a folder written by save_to_disk"):
        prepare(published(name))


def test_a_set_on_the_hub_without_a_connection(
    published: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*args: object, **options: object) -> None:
        raise ConnectionError("offline")

    monkeypatch.setattr("huggingface_hub.list_repo_files", offline)
    command = "hf download --repo-type dataset FSCCS/ReasonMap-Train --local-dir ReasonMap-Train"
    with pytest.raises(DataError, match=command):
        prepare(published("FSCCS/ReasonMap-Train:train"))


def test_dropped_test_rows_are_counted_and_named(
    published: Make, files: Path, tmp_path: Path
) -> None:
    splits = plus_splits()
    splits["test"] += [
        plus_row("south/gamma", "TorF1", station_1="Nowhere", question="Unknown?"),
        splits["test"][0],
        splits["test"][1] | {"answer": 1},
    ]
    name = save(tmp_path / "plus", splits)
    manifest = prepare(published(name, root=files))
    assert manifest.rows == {"train": 6, "test": 5}
    assert manifest.dropped == {
        "test": {
            "that name something the network lacks": 1,
            "that repeat another row": 1,
            "that repeat another row with another answer": 1,
        }
    }
    unknown, repeated, changed = manifest.notes
    assert unknown.startswith("Dropped 1 test question that name something the network lacks: ")
    assert "plus:test, row 5" in unknown and "'Nowhere'" in unknown
    assert "plus:test, row 6" in repeated
    assert "plus:test, row 7" in changed and "another answer" in changed


def test_a_repeated_row_belongs_to_the_test_split(
    published: Make, files: Path, tmp_path: Path
) -> None:
    """A test question must not get lost because a training set has it, too."""
    splits = plus_splits()
    splits["train"].append(splits["test"][0])
    manifest = prepare(published(save(tmp_path / "plus", splits), root=files))
    assert manifest.rows == {"train": 6, "test": 5}
    assert manifest.dropped == {"train": {"that repeat another row": 1}}


def hub_of(
    monkeypatch: pytest.MonkeyPatch, folder: Path, repository: str, prefix: str = ""
) -> list[str]:
    """Let a folder be a repository on the Hub; return the list of what is downloaded."""
    import huggingface_hub

    downloaded: list[str] = []

    def listed(name: str, repo_type: str, revision: str | None = None) -> list[str]:
        assert (name, repo_type) == (repository, "dataset")
        if (revision or "") != prefix:
            return ["README.md", "data.jsonl"]
        return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.parquet"))]

    def download(name: str, file: str, repo_type: str, revision: str | None = None) -> str:
        downloaded.append(file)
        return str(folder / file)

    monkeypatch.setattr(huggingface_hub, "list_repo_files", listed)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return downloaded


@pytest.mark.parametrize("revision", ["", "refs/convert/parquet"])
def test_a_set_on_the_hub_is_opened_file_by_file(
    published: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    """The networks in ``json`` give each file another schema."""
    splits = {
        "reasonmap-1008-train": [reasonmap_row("north/alpha")],
        "reasonmap-1008-test": [reasonmap_row("south/gamma")],
        "reasonmap-1008-validation": [reasonmap_row("south/gamma", station_1="Date")],
    }
    save_parquet(tmp_path / "set", splits)
    files = sorted((tmp_path / "set").rglob("*.parquet"))
    assert len({str(pq.read_schema(file)) for file in files}) == 2
    downloaded = hub_of(monkeypatch, tmp_path / "set", "FSCCS/ReasonMap", revision)
    names = ("FSCCS/ReasonMap:train", "FSCCS/ReasonMap:validation")
    manifest = prepare(published(*names, quotas=Quotas()))
    assert manifest.rows == {"train": 2, "test": 2}
    assert downloaded == [
        "data/reasonmap-1008-train.parquet",
        "data/reasonmap-1008-validation.parquet",
    ]
    with pytest.raises(DataError, match=r"'dev'.*splits test, train, validation"):
        prepare(published("FSCCS/ReasonMap:dev"))


def test_a_damaged_file_of_the_hub_is_named(
    published: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_parquet(tmp_path / "set", {"train": [reasonmap_row("north/alpha")] * 50})
    file = tmp_path / "set/data/train.parquet"
    content = bytearray(file.read_bytes())
    content[200:400] = bytes(200)
    file.write_bytes(content)
    hub_of(monkeypatch, tmp_path / "set", "FSCCS/ReasonMap")
    with pytest.raises(DataError, match=r"train\.parquet.*damaged"):
        prepare(published("FSCCS/ReasonMap"))


def test_errors_while_iterating_are_named(
    published: Make, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = save(tmp_path / "plus", plus_splits())

    def broken(self: object) -> Any:
        yield plus_row("north/alpha", "TorF1")
        raise ConnectionResetError("connection lost")

    monkeypatch.setattr(datasets.Dataset, "__iter__", broken)
    with pytest.raises(DataError, match=r"plus:train, row 1.*connection lost"):
        prepare(published(name, root=files))


def test_the_gold_answers_for_supervised_training_are_right(
    published: Make, tmp_path: Path
) -> None:
    """Reference routes name lines as a map service does, which the reward does not accept."""
    rows = {
        "train": [reasonmap_row("north/alpha"), reasonmap_row("north/alpha", routes=None)],
        "test": [reasonmap_row("south/gamma")],
    }
    rows["train"][1]["question_short"] += "?"
    settings = published(save(tmp_path / "r", rows), quotas=Quotas())
    prepare(settings)
    questions = list(read_prepared_questions(settings.out, "train"))
    assert len(questions) == 3
    network = read_network(settings.out / "networks/north/alpha.json")
    for question in questions:
        assert "Route Name: Line 1" in question.answer
        score = score_answer(question.answer, question.truth, network, RewardConfig()).score
        assert score == bounds(question.truth, RewardConfig())[1]


def test_the_reported_case(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data.parent / "cases/reports/20-published-rows-without-figure"
    if not source.is_dir():
        pytest.skip("the reported case is not there")
    words = ["prepare", "reasonmap", "--data", "rows.parquet", "--data", "zz-test.parquet"]
    words += ["--maps-from", "zz-test.parquet", "--size", "tiny", "--out", str(tmp_path / "out")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(source)
        result = CliRunner().invoke(app, [*words, "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert {entry.city for entry in read_manifest(tmp_path / "out").maps} == {"alpha", "omega"}
