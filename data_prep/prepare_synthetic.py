"""Draw invented transit maps and ask about them: the embedded data set.

    python data_prep/prepare_synthetic.py --out data/synthetic

It is ``rewardmap prepare`` with the source filled in; all of its options work here too.
"""

from __future__ import annotations

import sys

from rewardmap_verl.commands.main import app

if __name__ == "__main__":
    app(["prepare", "--source", "synthetic", *sys.argv[1:]])
