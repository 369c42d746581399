"""Push folders to the Hugging Face Hub and pull them; every failure is an `InputError`.

A push is one commit: it uploads all files, or leaves the repository unchanged. Pulled files stay in the client's cache
and so are available offline.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import UNAUTHORIZED
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi, constants, get_token, snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

# Both are public but not re-exported; `httpx` is whichever HTTP library the client uses.
from huggingface_hub.utils import httpx, validate_repo_id  # type: ignore[attr-defined]

from descant_tokenizers.common.errors import InputError

RepoType = Literal["model", "dataset"]
CARD_NAME = "README.md"

_HUB_ERRORS = (HfHubHTTPError, httpx.HTTPError, OSError)


@dataclass(frozen=True)
class Pushed:
    """Result of a push.

    Attributes:
        url: Page of the repository.
        revision: The commit, to pin with `user/name@revision`.
        files: Names of the files.
    """

    url: str
    revision: str
    files: tuple[str, ...]


def is_repo_id(name: str) -> bool:
    """Return True if a name can be a Hub id (`user/name` or `user/name@revision`) and is not a path."""
    return name.count("/") == 1 and not name.startswith((".", "/")) and not name.endswith("/")


def check_push(repo_id: str, repo_type: RepoType = "model", *, update: bool = False) -> None:
    """Refuse a push that cannot succeed, before any work is done.

    Raises:
        InputError: The name is not a Hub id, there is no token or no network, or the repository exists and `update`
            is off.
    """
    _check_name(repo_id)
    if get_token() is None:
        raise InputError("No Hub token is set. Run `hf auth login` or set HF_TOKEN, then push again.")
    try:
        exists = HfApi().repo_exists(repo_id, repo_type=repo_type)
    except _HUB_ERRORS as error:
        raise InputError(f"The Hub cannot be reached ({_reason(error)}). Try again later.") from None
    if exists and not update:
        raise InputError(f"{repo_id} exists on the Hub. Choose another name, or add --update for a new version of it.")


def push_folder(
    folder: Path,
    repo_id: str,
    repo_type: RepoType = "model",
    *,
    private: bool = False,
    update: bool = False,
) -> Pushed:
    """Push a folder in one commit; with `update`, it replaces the files of an existing repository.

    Raises:
        InputError: See `check_push`; or the upload was refused or broke off, which leaves the repository unchanged.
    """
    check_push(repo_id, repo_type, update=update)
    api = HfApi()
    try:
        api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=update)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            repo_type=repo_type,
            delete_patterns="*" if update else None,
            commit_message="Update with Descant" if update else "Upload with Descant",
        )
    except (*_HUB_ERRORS, RuntimeError, ValueError) as error:
        raise InputError(
            f"The push to {repo_id} failed ({_reason(error)}), and no file there was changed. Push again, with "
            "--update if the repository now exists."
        ) from None
    names = api.list_repo_files(repo_id, repo_type=repo_type, revision=commit.oid)
    return Pushed(str(commit.repo_url), commit.oid, tuple(sorted(names)))


def push_files(
    files: Iterable[Path], card: str, repo_id: str, *, private: bool = False, update: bool = False
) -> Pushed:
    """Push some files of a folder with a card to a model repository; see `push_folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        for file in files:
            shutil.copyfile(file, Path(scratch, file.name))
        Path(scratch, CARD_NAME).write_text(card, encoding="utf-8")
        return push_folder(Path(scratch), repo_id, private=private, update=update)


def pull_folder(name: str, repo_type: RepoType = "model") -> Path:
    """Return the local copy of a repository, `user/name` or `user/name@revision`; offline, the one pulled before.

    Raises:
        InputError: There is no such repository or revision, or it was never pulled and there is no network.
    """
    repo_id, _, pinned = name.partition("@")
    revision = pinned or None
    _check_name(repo_id)
    try:
        # The client waits forever for a network that drops all packets, unless it is first asked with a timeout.
        HfApi().repo_info(repo_id, repo_type=repo_type, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT)
        return Path(snapshot_download(repo_id, repo_type=repo_type, revision=revision))
    except RevisionNotFoundError:
        raise InputError(f"{repo_id} has no revision {revision!r} on the Hub. Omit it for the newest one.") from None
    except RepositoryNotFoundError:
        raise InputError(
            f"There is no {repo_type} {repo_id} on the Hub, or your token has no access to it. Check the name."
        ) from None
    except (*_HUB_ERRORS, LocalEntryNotFoundError) as error:
        with contextlib.suppress(OSError):  # the client falls back on its cache only if no server answers
            return Path(snapshot_download(repo_id, repo_type=repo_type, revision=revision, local_files_only=True))
        raise InputError(
            f"The {repo_type} {name!r} could not be fetched from the Hub ({_reason(error)}). Check the name and the "
            "network."
        ) from None


def _check_name(repo_id: str) -> None:
    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        raise InputError(
            f"{repo_id!r} is not a Hub id. Give user/name with letters, digits, '-', '_' and '.' only."
        ) from None
    if repo_id.count("/") != 1:
        raise InputError(f"{repo_id!r} has no user. Give user/name.")


def _reason(error: Exception) -> str:
    if isinstance(error, HfHubHTTPError) and error.response is not None and error.response.status_code == UNAUTHORIZED:
        return "your token is not valid"
    if isinstance(error, httpx.HTTPError) and not isinstance(error, HfHubHTTPError):
        return f"no connection: {str(error) or type(error).__name__}"
    return next((line for line in str(error).split("\n") if line.strip()), type(error).__name__).strip().rstrip(".:")
