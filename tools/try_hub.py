"""Push to the Hugging Face Hub, pull, compare and delete, with a token; the tests do the same with a local server.

    python tools/try_hub.py          three private repositories named descant-try-..., deleted at the end
    python tools/try_hub.py --keep   keep them for inspection

Needs a token with write permission (`hf auth login`, or HF_TOKEN) and stops without one. About 15 MB are uploaded and
downloaded. The exit status is 0 if everything comes back unchanged, else 2, with one sentence.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "descant-try"
SUFFIXES = {"model": "", "tokenizer": "-tokens", "dataset": "-tunes"}


def main() -> None:
    """Try everything, with an empty cache."""
    with tempfile.TemporaryDirectory() as scratch:
        # The client reads this when it is imported, hence the imports below.
        os.environ["HF_HUB_CACHE"] = str(Path(scratch, "cache"))
        import datasets

        from descant_modeling.common.console import quiet_libraries
        from descant_tokenizers.common.errors import InputError

        datasets.disable_progress_bars()
        try:
            with quiet_libraries():
                _try_all(Path(scratch), keep="--keep" in sys.argv[1:])
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)


def _try_all(scratch: Path, *, keep: bool) -> None:
    from huggingface_hub import HfApi

    from descant_tokenizers.common.hub import check_push

    check_push(f"nobody/{NAME}", update=True)  # fails if there is no token
    user = HfApi().whoami()["name"]
    stem = f"{user}/{NAME}-{secrets.token_hex(4)}"
    with _deleted_at_the_end(stem, keep=keep):
        revision = _try_model(stem)
        _try_offline(f"{stem}@{revision}")
        _try_tokenizer(f"{stem}{SUFFIXES['tokenizer']}")
        _try_dataset(f"{stem}{SUFFIXES['dataset']}", scratch)
    print("everything came back unchanged")


@contextmanager
def _deleted_at_the_end(stem: str, *, keep: bool) -> Iterator[None]:
    """Delete what the block created, even if it fails."""
    from huggingface_hub import HfApi

    try:
        yield
    finally:
        for kind, suffix in SUFFIXES.items():
            repo_id, repo_type = f"{stem}{suffix}", "dataset" if kind == "dataset" else "model"
            if keep:
                print(f"kept     {repo_type} {repo_id}")
                continue
            try:
                HfApi().delete_repo(repo_id, repo_type=repo_type, missing_ok=True)
                print(f"deleted  {repo_type} {repo_id}")
            except Exception as error:  # of any kind: the user has to know what is left
                print(f"error: {repo_type} {repo_id} is not deleted ({error}). Delete it by hand.", file=sys.stderr)


def _try_model(repo_id: str) -> str:
    """Push, pull, compare, load with transformers and miditok alone, add a version; return the first revision."""
    import miditok
    import transformers
    from huggingface_hub import HfApi

    from descant_modeling.common import EMBEDDED_DEFAULT
    from descant_modeling.models.checkpoints import EMBEDDED, PUBLISHED_FILES, load_checkpoint
    from descant_modeling.models.publishing import push_checkpoint
    from descant_tokenizers.common.errors import InputError
    from descant_tokenizers.common.hub import pull_folder
    from descant_tokenizers.tokens.presets import push_tokenizer

    source = EMBEDDED / EMBEDDED_DEFAULT
    first = push_checkpoint(EMBEDDED_DEFAULT, repo_id, private=True)
    _say(bool(HfApi().repo_info(repo_id).private), f"pushed   {first.url}, private")
    _same(source, pull_folder(repo_id), [name for name in PUBLISHED_FILES if name != "README.md"])
    model = transformers.AutoModelForCausalLM.from_pretrained(repo_id)
    tokenizer = miditok.REMI.from_pretrained(repo_id)
    _say(model.config.vocab_size == len(tokenizer), "loaded   with transformers and miditok alone")
    try:
        push_checkpoint(EMBEDDED_DEFAULT, repo_id)
        _say(False, "refused  a second push without --update")
    except InputError as error:
        _say("--update" in str(error), "refused  a second push without --update")
    second = push_tokenizer(source, repo_id, update=True)
    _say("model.safetensors" not in second.files, "updated  a new version replaces the files of the old one")
    pinned = load_checkpoint(f"{repo_id}@{first.revision}")
    _say(pinned.meta == load_checkpoint(EMBEDDED_DEFAULT).meta, f"pinned   {first.revision} is still the first version")
    return first.revision


def _try_offline(name: str) -> None:
    """Pull in a new process without network access."""
    code = "import sys; from descant_tokenizers.common.hub import pull_folder; print(pull_folder(sys.argv[1]))"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code, name]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    _say(done.returncode == 0, "offline  the pulled files are there")


def _try_tokenizer(repo_id: str) -> None:
    from descant_modeling.common import EMBEDDED_DEFAULT
    from descant_modeling.models.checkpoints import EMBEDDED
    from descant_tokenizers.common.hub import pull_folder
    from descant_tokenizers.tokens.presets import push_tokenizer

    push_tokenizer(EMBEDDED / EMBEDDED_DEFAULT, repo_id, private=True)
    _same(EMBEDDED / EMBEDDED_DEFAULT, pull_folder(repo_id), ["tokenizer.json"])


def _try_dataset(repo_id: str, scratch: Path) -> None:
    from descant_tokenizers.corpora import build_dataset, load_corpus
    from descant_tokenizers.corpora.store import push_dataset

    folder = scratch / "tunes"
    build_dataset(str(ROOT / "examples"), folder, licence="Apache-2.0", num_proc=1)
    push_dataset(folder, repo_id, private=True)
    ours, theirs = load_corpus(str(folder)), load_corpus(repo_id)
    same = {split: ours[split]["music"][:] == theirs[split]["music"][:] for split in ours}
    _say(ours.keys() == theirs.keys() and all(same.values()), f"pulled   dataset {repo_id}: the same rows")


def _same(ours: Path, theirs: Path, names: list[str]) -> None:
    different = [name for name in names if (ours / name).read_bytes() != (theirs / name).read_bytes()]
    _say(not different, f"pulled   {len(names)} files, byte for byte identical")


def _say(is_right: bool, what: str) -> None:
    """Print a finding.

    Raises:
        InputError: It is not the expected one.
    """
    from descant_tokenizers.common.errors import InputError

    if not is_right:
        raise InputError(f"The check {' '.join(what.split())!r} failed on the Hub. Compare the files there by hand.")
    print(what)


if __name__ == "__main__":
    main()
