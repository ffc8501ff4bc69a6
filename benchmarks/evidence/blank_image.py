"""The blank-image control: the test questions with a blank image of the map's size.

A model that answers them equally well does not read the map. The rows are in a separate prepared
folder; row *i* matches row *i* of the test split. Their data source tells them apart in verl's
metrics, and a mark in the annotation of the gold answer, which the reward ignores, in its dumps.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.preparation.atomic import remove_folder, write_bytes
from rewardmap_verl.preparation.manifest import read_manifest, record_files, write_manifest

__all__ = ["BLANK_MARK", "write_blank"]

BLANK_MARK: Final = "blank_picture"
"""Key in the annotation of a gold answer."""

_GRAY: Final = (127, 127, 127)


def write_blank(data: Path, folder: Path) -> None:
    """Write the control folder; one made from the same data is kept.

    Args:
        data: The prepared folder.
        folder: The folder to write.

    Raises:
        DataError: ``data`` is not a prepared folder.
    """
    manifest = read_manifest(data)
    mark = f"blank images for {manifest.fingerprint}"
    if (folder / "manifest.json").is_file() and mark in read_manifest(folder).notes:
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    remove_folder(folder)
    folder.mkdir(parents=True)
    table = pq.read_table(data / "test.parquet")
    rows = [_blank_row(row, data, folder) for row in table.to_pylist()]
    for name in {row["extra_info"]["network"] for row in rows}:
        write_bytes(folder / name, (data / name).read_bytes())
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / "test.parquet")
    notes = (*manifest.notes, mark)
    about = {"notes": notes, "files": record_files(folder), "maps": ()}
    write_manifest(manifest.model_copy(update=about), folder)


def _blank_row(row: dict[str, Any], data: Path, folder: Path) -> dict[str, Any]:
    truth = json.loads(row["reward_model"]["ground_truth"])
    truth["annotation"] = {**(truth.get("annotation") or {}), BLANK_MARK: True}
    text = json.dumps(truth, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    images = [
        {**image, "image": _blank_image(image["image"], data, folder)} for image in row["images"]
    ]
    return {
        **row,
        "data_source": row["data_source"].replace("rewardmap/", "rewardmap_blank/", 1),
        "images": images,
        "reward_model": {**row["reward_model"], "ground_truth": text},
    }


def _blank_image(name: str, data: Path, folder: Path) -> str:
    from PIL import Image

    with Image.open(data / name) as image:
        width, height = image.size
    path = folder / "images" / f"blank-{width}x{height}.png"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), _GRAY).save(path)
    return path.relative_to(folder).as_posix()
