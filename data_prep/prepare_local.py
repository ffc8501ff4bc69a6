"""Make training data from a folder with maps/COUNTRY/CITY.png and stations/COUNTRY/CITY.json.

    python data_prep/prepare_local.py --root FOLDER --out data/local

It is ``rewardmap prepare`` with the source filled in; all of its options work here too.
"""

from __future__ import annotations

import sys

from rewardmap_verl.commands.main import app

if __name__ == "__main__":
    app(["prepare", "--source", "local", *sys.argv[1:]])
