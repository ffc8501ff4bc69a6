"""Upload a finished folder to the Hugging Face Hub.

The ``huggingface_hub`` client finds the token itself: the variable ``HF_TOKEN``, or the file that
``hf auth login`` writes. It is neither read nor stored here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from rewardmap_verl.errors import ConfigError

__all__ = ["DATASET_FILES", "MODEL_FILES", "push_folder"]

MODEL_FILES: Final = ("README.md", "*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")
"""Files of a model's folder that are uploaded; nothing that has to be unpickled."""
DATASET_FILES: Final = ("README.md", "*.parquet")


def push_folder(
    folder: Path,
    repository: str,
    kind: Literal["model", "dataset"],
    patterns: Sequence[str],
    private: bool = False,
) -> str:
    """Create a repository if it does not exist, and upload a folder in one commit.

    Args:
        folder: The folder.
        repository: OWNER/NAME on the hub.
        kind: Type of the repository.
        patterns: Files to upload, as ``fnmatch`` patterns of their paths in the folder.
        private: Whether a new repository is private; an existing one stays as it is.

    Returns:
        URL of the repository.

    Raises:
        ConfigError: The name is invalid, the hub cannot be reached, the token does not allow it, or
            a file is a link to the outside of the folder.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    _refuse_links(folder, repository)
    api = HfApi()
    try:
        url = api.create_repo(repository, repo_type=kind, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=url.repo_id,
            folder_path=folder,
            repo_type=kind,
            allow_patterns=list(patterns),
            commit_message="Upload with rewardmap",
        )
    except (HFValidationError, httpx.HTTPError, OSError, ValueError) as error:
        hint = (
            "Give OWNER/NAME, and a token with write access: `hf auth login` or HF_TOKEN. The "
            f"folder {folder} is complete; `hf upload` uploads it as well."
        )
        raise ConfigError(f"--push {repository}", found=str(error), hint=hint) from error
    return str(url)


def _refuse_links(folder: Path, repository: str) -> None:
    """Refuse links to the outside, through which a stranger's folder would publish other files."""
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            hint = f"It leads to {path.resolve()}. Copy that file to its place, or remove the link."
            raise ConfigError(f"--push {repository}", found=f"the link {path}", hint=hint)
