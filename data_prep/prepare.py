"""Prepare training data: `rewardmap prepare` as a script.

    python data_prep/prepare.py synthetic --out data/synthetic
    python data_prep/prepare.py local --root my-cities --out data/my-cities
    python data_prep/prepare.py reasonmap --out data/rewardmap
    python data_prep/prepare.py gtfs --feed feeds/my-town.zip --out data/my-town

`python data_prep/prepare.py SOURCE --help` lists the options of a source.
"""

from __future__ import annotations

from rewardmap_verl.commands.prepare import prepare

if __name__ == "__main__":
    prepare()
