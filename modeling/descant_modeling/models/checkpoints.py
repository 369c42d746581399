"""Checkpoint folders, as they are pushed to the Hub and as `--model` reads them.

`config.json, generation_config.json, model.safetensors` (stock transformers), `tokenizer.json` (miditok),
`descant.json` (what else our code needs), `README.md` (model card).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.common.console import quiet_libraries
from descant_modeling.common.devices import pick_device
from descant_modeling.models.stock_config import CONFIG_FILE, check_weights, read_stock_config
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import TOKENIZER_FILE, read_json
from descant_tokenizers.common.hub import is_repo_id, pull_folder
from descant_tokenizers.tokens.piece import NO_PITCH
from descant_tokenizers.tokens.presets import load_tokenizer
from descant_tokenizers.tokens.tasks import LayoutConfig, TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:  # torch and transformers take seconds to import, and generating on a CPU needs neither
    from miditok import REMI
    from transformers import PreTrainedModel

FORMAT_VERSION = 2
META_FILE = "descant.json"
WEIGHTS_FILE = "model.safetensors"
#: Published files of a causal model.
PUBLISHED_FILES = (CONFIG_FILE, "generation_config.json", WEIGHTS_FILE, TOKENIZER_FILE, META_FILE, "README.md")
#: Published files of other objectives, which have no tokenizer.
PUBLISHED_WITHOUT_TOKENS = (CONFIG_FILE, WEIGHTS_FILE, META_FILE, "README.md")
#: Objectives whose models generate without a prompt.
UNCONDITIONAL_OBJECTIVES = ("midinet", "roll-gan")
#: Folder of the embedded checkpoints.
EMBEDDED = Path(__file__).parents[1] / "weights"


@dataclass(frozen=True)
class CheckpointMeta:
    """Contents of `descant.json`.

    Attributes:
        layout: Task layout the model was trained with.
        tokenizer_sha256: Hash of the tokenizer file.
        corpora: Names and hashes of the training corpora.
        voice_ranges: (lowest, highest) MIDI pitch of each voice in training, by rank; new notes stay in this range.
        training: Facts about the run: steps, seed, valid likelihood, git revision.
        meters: Time signatures of the training pieces, such as `3/4`, sorted; empty if unknown.
        vocabulary_sha256: Hash of the meaning of every token id (`Vocabulary.sha256`), which the tokenizer file may
            leave to the installed miditok. Empty in format 1.
        format_version: Version of this file's format.
    """

    layout: LayoutConfig
    tokenizer_sha256: str
    corpora: dict[str, str] = field(default_factory=dict)
    voice_ranges: tuple[tuple[int, int], ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    meters: tuple[str, ...] = ()
    vocabulary_sha256: str = ""
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class FoundCheckpoint:
    """A checkpoint folder, found once and handed to every loader.

    Attributes:
        folder: The folder.
        meta: Contents of its `descant.json`, for any objective.
    """

    folder: Path
    meta: dict[str, Any]

    @property
    def objective(self) -> str:
        """Name of the objective the model was trained with."""
        return str(self.meta.get("objective", "causal"))

    @property
    def is_unconditional(self) -> bool:
        """True if the model generates without a prompt."""
        return self.objective in UNCONDITIONAL_OBJECTIVES


ModelSource = str | FoundCheckpoint
"""An embedded model's name, a checkpoint or run folder, or a Hub id, tried in this order; or a found checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """A causal model's checkpoint: tokenizer, layout, and the network where it is asked for.

    Attributes:
        layout: Task layout, with the vocabulary.
        meta: Contents of `descant.json`.
        folder: The folder.
        config: Contents of `config.json`.
        device: Device of `model`: ``cpu``, ``cuda`` or ``mps``.
    """

    layout: TaskLayout
    meta: CheckpointMeta
    folder: Path
    config: dict[str, Any]
    device: str = "cpu"

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary."""
        return self.layout.vocabulary

    @cached_property
    def model(self) -> PreTrainedModel:
        """The stock model of transformers, in eval mode."""
        model = load_model(self.folder)
        model.to(self.device)  # type: ignore[arg-type]
        return model

    def read_weights(self) -> dict[str, npt.NDArray[Any]]:
        """Read the parameters, by their names in the stock class.

        Raises:
            InputError: The file is damaged.
        """
        try:
            return load_file(self.folder / WEIGHTS_FILE)
        except (OSError, SafetensorError, TypeError) as error:  # TypeError: a precision that numpy does not have
            raise not_loaded(self.folder, error) from None


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def replace_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder under another name, then swap it in; the old one stays until the new one is complete.

    A process killed between the two renames leaves `folder.old`; `recover_folder` puts it back.

    Raises:
        InputError: It cannot be written. Nothing of it is left.
    """
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        write(fresh)
    except (OSError, SafetensorError) as error:  # safetensors has its own error for a full disk
        shutil.rmtree(fresh, ignore_errors=True)
        reason = str(error).rstrip(".")
        raise InputError(
            f"Cannot write {folder} ({reason}), but earlier checkpoints are kept. Free some space."
        ) from error
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(folder: Path) -> None:
    """Undo a `replace_folder` that was killed between its two renames."""
    old = folder.with_name(folder.name + ".old")
    if not folder.exists() and old.exists():
        with contextlib.suppress(FileNotFoundError):  # another process of the same run was faster
            old.rename(folder)


def save_checkpoint(folder: Path, model: PreTrainedModel, tokenizer: REMI, meta: CheckpointMeta, card: str) -> None:
    """Write a complete checkpoint folder into an existing empty one."""
    save_model(folder, model)
    tokenizer.save(folder / TOKENIZER_FILE)
    meta = dataclasses.replace(
        meta,
        tokenizer_sha256=sha256_file(folder / TOKENIZER_FILE),
        vocabulary_sha256=Vocabulary(tokenizer).sha256(),
        format_version=FORMAT_VERSION,
    )
    (folder / META_FILE).write_text(json.dumps(dataclasses.asdict(meta), indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")


def save_model(folder: Path, model: PreTrainedModel) -> None:
    """Write the files of a stock model: configuration, weights and generation settings."""
    from transformers import GenerationConfig

    model.save_pretrained(folder)
    GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=model.config.bos_token_id,
        eos_token_id=model.config.eos_token_id,
        pad_token_id=model.config.pad_token_id,
        do_sample=True,
        max_length=model.config.max_position_embeddings,
    ).save_pretrained(folder)


def load_checkpoint(model: ModelSource, device: str = "cpu") -> Checkpoint:
    """Load a causal model; its network is loaded when it is first used.

    Args:
        model: See `find_checkpoint`.
        device: ``cpu``, ``cuda`` or ``mps``.

    Raises:
        InputError: There is no such model or device, or the folder is incomplete, of a newer format or with another
            tokenizer.
    """
    device = pick_device(device)
    source = find_checkpoint(model)
    folder, meta = source.folder, read_meta(source)
    tokenizer, tokenizer_file = load_tokenizer(folder), folder / TOKENIZER_FILE
    found = sha256_file(tokenizer_file)
    if found != meta.tokenizer_sha256:
        raise InputError(
            f"{tokenizer_file} is not the tokenizer the model was trained with (hash {found[:12]}, expected "
            f"{meta.tokenizer_sha256[:12]}). Restore the file saved with the model."
        )
    vocabulary = Vocabulary(tokenizer)
    if meta.vocabulary_sha256 not in ("", vocabulary.sha256()):
        writer = read_json(tokenizer_file).get("miditok_version")
        raise InputError(
            f"{tokenizer_file} gives other token ids with the installed miditok {version('miditok')} than in "
            f"training. Install miditok {writer}."
        )
    if len(meta.voice_ranges) != vocabulary.num_voices:
        raise _unreadable(folder / META_FILE, ValueError("voice_ranges"))
    config = _read_config(folder)
    if config.get("vocab_size") != len(tokenizer):
        raise InputError(
            f"{folder} has a model of {config.get('vocab_size')} tokens and a tokenizer of {len(tokenizer)}. Use the "
            "files of the same checkpoint."
        )
    return Checkpoint(TaskLayout(vocabulary, meta.layout), meta, folder, config, device)


def find_checkpoint(model: ModelSource) -> FoundCheckpoint:
    """Find a model: embedded name, folder (or run folder with `best/`), or Hub id, in this order.

    A Hub id is `user/name`, or `user/name@revision` for one version of it. A found checkpoint is returned unchanged.

    Raises:
        InputError: There is no such model, it could not be fetched, or its `descant.json` is unreadable.
    """
    if isinstance(model, FoundCheckpoint):
        return model
    folder = _find_folder(model)
    return FoundCheckpoint(folder, read_meta_values(folder))


def _find_folder(name: str) -> Path:
    if (EMBEDDED / name / META_FILE).is_file():
        return EMBEDDED / name
    folder = Path(name)
    if folder.is_dir():
        for candidate in (folder, folder / "best", folder / "last"):
            if candidate != folder:
                recover_folder(candidate)
            if (candidate / META_FILE).is_file():
                return candidate
        raise InputError(f"{folder} holds no {META_FILE}. Give a checkpoint folder written by train.py.")
    if not is_repo_id(name):
        raise InputError(f"Unknown model {name!r}. {_choices()}")
    try:
        folder = pull_folder(name)
    except InputError as error:
        raise InputError(f"{error.problem}. {_choices()}") from None
    if not (folder / META_FILE).is_file():
        raise InputError(f"{name} on the Hub holds no {META_FILE}. Name a model that Descant pushed.")
    return folder


def embedded_models() -> list[str]:
    """Return the names of the checkpoints inside the package."""
    return sorted(path.parent.name for path in EMBEDDED.glob(f"*/{META_FILE}"))


def read_meta_values(folder: Path) -> dict[str, Any]:
    """Read `descant.json` of any objective.

    Raises:
        InputError: It is unreadable, or of a newer format.
    """
    path = folder / META_FILE
    try:
        values: dict[str, Any] = read_json(path)
        number = values["format_version"]
        if number <= FORMAT_VERSION:
            return values
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from None
    raise InputError(f"{path} has format {number}, newer than this program's {FORMAT_VERSION}. Upgrade descant.")


def read_meta(found: FoundCheckpoint) -> CheckpointMeta:
    """Return the contents of a causal model's `descant.json`.

    Raises:
        InputError: It is incomplete, or of another objective.
    """
    if found.objective != "causal":
        raise InputError(
            f"{found.folder} holds a {found.objective} model. Give a causal one, such as {EMBEDDED_DEFAULT}."
        )
    values = {key: value for key, value in found.meta.items() if key != "objective"}
    try:
        styles = tuple(values["layout"].get("styles", ()))
        values["layout"] = LayoutConfig(**{**values["layout"], "styles": styles})
        values["voice_ranges"] = read_ranges(values)
        for key, kind in (("corpora", dict), ("training", dict), ("tokenizer_sha256", str)):
            if not isinstance(values.get(key, kind()), kind):
                raise TypeError(key)
        values["meters"] = tuple(map(str, values.get("meters", ())))
        if values["format_version"] > 1 and "vocabulary_sha256" not in values:
            raise KeyError("vocabulary_sha256")
        return CheckpointMeta(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(found.folder / META_FILE, error) from None


def read_ranges(values: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    """Return the `voice_ranges` of a `descant.json`.

    Raises:
        ValueError: They are not pairs of MIDI pitches, the lower one first, or `NO_PITCH`.
        KeyError: There are none.
        TypeError: They are not a list of pairs.
    """
    ranges = tuple((low, high) for low, high in values["voice_ranges"])
    known = [pair for pair in ranges if pair != NO_PITCH]
    if not all(type(low) is int and type(high) is int and 0 <= low <= high <= 127 for low, high in known):
        raise ValueError("voice_ranges")
    return ranges


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read ({error!r}). Use a checkpoint folder written by train.py.")


def load_model(folder: Path) -> PreTrainedModel:
    """Load the stock model of a checkpoint folder, in eval mode.

    Raises:
        InputError: It is missing or damaged.
    """
    from safetensors.torch import load_file
    from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM

    values = _read_config(folder)
    is_gpt2 = values["model_type"] == "gpt2"
    kind: Any = GPT2LMHeadModel if is_gpt2 else GPTNeoXForCausalLM
    try:
        with quiet_libraries():  # transformers sees only what was checked, and no other file of the folder
            model, found = kind.from_pretrained(
                None,
                config=(GPT2Config if is_gpt2 else GPTNeoXConfig).from_dict(values),
                generation_config=GenerationConfig(),  # type: ignore[no-untyped-call]
                state_dict=load_file(folder / WEIGHTS_FILE),
                trust_remote_code=False,
                output_loading_info=True,
            )
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        raise not_loaded(folder, error) from None
    if found["missing_keys"] or found["unexpected_keys"]:
        raise not_loaded(folder, "parameters are missing or have another name")
    return cast("PreTrainedModel", model)


def _read_config(folder: Path) -> dict[str, Any]:
    """Return the contents of a stock model's `config.json`; the weights beside it must be those it describes."""
    if not (folder / WEIGHTS_FILE).is_file():
        raise InputError(f"{folder} has no {WEIGHTS_FILE}, and no other format of weights is read. Add it.")
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(f"{folder} has no {CONFIG_FILE}. Restore its files.")
    try:
        values = read_stock_config(folder / CONFIG_FILE)
        check_weights(folder / WEIGHTS_FILE, values)
        return values
    except (OSError, ValueError, SafetensorError) as error:
        raise not_loaded(folder, error) from None


def not_loaded(folder: Path, reason: object) -> InputError:
    """Return the error of a damaged model, with the first line of a reason."""
    line = str(reason).strip().split("\n")[0].rstrip(".")
    return InputError(f"The model in {folder} cannot be loaded ({line}). Restore its files.")


def _choices() -> str:
    return (
        f"Give an embedded model ({', '.join(embedded_models()) or 'none'}), a checkpoint folder or a Hub id user/name."
    )
