"""The trainer: what must come out the same, however a run is cut into sessions, micro-batches or processes."""

import json
import os
import shutil
import signal
from types import SimpleNamespace

import pytest
import torch
from same_state import assert_same_state

from descant_modeling.common.config import build_config
from descant_modeling.models.checkpoints import load_checkpoint
from descant_modeling.models.likelihood import score_pieces
from descant_modeling.training.causal import begin_causal_run
from descant_modeling.training.config import RunConfig
from descant_tokenizers.common.errors import InputError


def log_lines(trainer, kind="train"):
    trainer.log.close()
    lines = [json.loads(line) for line in (trainer.folder / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line for line in lines if line["kind"] == kind}


def losses(trainer):
    return [line["loss"] for _, line in sorted(log_lines(trainer).items())]


def interrupt_after(trainer, step, monkeypatch):
    """Send Ctrl-C as soon as `step` is done."""
    report = trainer.log.progress

    def progress(done, status):
        report(done, status)
        if done == step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(trainer.log, "progress", progress)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_five_and_five_steps_are_ten(make_trainer, monkeypatch, name):
    whole = make_trainer("whole", optimizer__name=name)
    whole.train()

    first = make_trainer("cut", optimizer__name=name, save_every=100, eval_every=7)
    interrupt_after(first, 4, monkeypatch)  # the request is seen by the step that follows
    with pytest.raises(KeyboardInterrupt):
        first.train()
    assert first.progress.step == 5
    first.log.close()

    torch.manual_seed(99)  # a resumed run must not depend on what the process did before
    second = make_trainer("cut", optimizer__name=name, seed=1)
    second.resume()
    assert second.progress.step == 5
    second.train()

    assert_same_state(whole, second)
    assert losses(second) == losses(whole)
    next_batches = [next(trainer.task.batches()) for trainer in (whole, second)]
    for a, b in zip(*next_batches, strict=True):
        assert torch.equal(a.ids_BT, b.ids_BT)
        assert torch.equal(a.loss_mask_BT, b.loss_mask_BT)


def test_without_a_compiler_one_sentence_says_so_and_training_goes_on(make_trainer, monkeypatch):
    said = []
    trainer = make_trainer(compile="true", max_steps=2)
    monkeypatch.setattr(trainer.log, "say", said.append)
    monkeypatch.setenv("CXX", "no-such-compiler")
    trainer.train()
    assert trainer.progress.step == 2
    assert said[0] == (
        "No C++ compiler is found, so training goes on without torch.compile. Install g++ to train faster."
    )


def test_if_compiling_fails_one_sentence_says_so_and_training_goes_on(make_trainer, monkeypatch):
    def fail(num_tokens):
        raise RuntimeError("Python.h: No such file")

    said = []
    trainer = make_trainer(compile="true", max_steps=2)
    monkeypatch.setattr(trainer.log, "say", said.append)
    monkeypatch.setattr(trainer.task._step_model, "compile_blocks", fail)
    monkeypatch.setattr("descant_modeling.training.causal.has_cpp_compiler", lambda: True)
    monkeypatch.setattr(torch.compiler, "set_stance", said.append)
    trainer.train()
    assert trainer.progress.step == 2
    assert said[0] == "force_eager"
    assert said[1].startswith("torch.compile failed (Python.h: No such file), so training goes on without it.")


def test_short_runs_are_not_compiled_by_default(make_trainer):
    assert not make_trainer(max_steps=2).task.compiles
    assert make_trainer(max_steps=2, compile="true").task.compiles


def test_a_run_cut_in_the_middle_of_an_epoch_goes_on_with_any_number_of_workers(make_trainer):
    def make(folder, **values):
        trainer = make_trainer(folder, data__batch_tokens=400, data__micro_batches=2, **values)
        trainer.task.source.pool_size = 4  # of nine pieces
        return trainer

    whole = make("whole")
    whole.train()
    first = make("cut", max_steps=3, data__num_workers=2)
    first.train()
    assert first.progress.pool > 0
    second = make("cut", data__num_workers=1)
    second.resume()
    second.train()
    assert second.progress.epoch > 1
    assert_same_state(whole, second)


@pytest.mark.parametrize("batch_tokens", [1, 2000])
def test_micro_batches_add_up_to_one_large_batch(make_trainer, batch_tokens):
    """The loss is normalised by the counted tokens of all micro-batches, however the pieces fall into them."""
    whole = make_trainer("whole", model__dropout=0.0, data__batch_tokens=100_000)
    number = len(list(whole.task.source.batches(0, batch_tokens)))
    assert number > 1
    steps = 4 if number == len(whole.task.source.pieces) else 1  # only then all epochs have as many
    whole = make_trainer("whole", model__dropout=0.0, data__batch_tokens=100_000, max_steps=steps)
    parts = make_trainer(
        "parts", model__dropout=0.0, data__batch_tokens=batch_tokens, data__micro_batches=number, max_steps=steps
    )
    whole.train()
    parts.train()
    assert losses(parts) == pytest.approx(losses(whole), abs=1e-5)
    for one, other in zip(whole.task.model.parameters(), parts.task.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_the_best_checkpoint_scores_as_it_did_in_training(make_trainer):
    trainer = make_trainer(eval_every=2)
    trainer.train()
    checkpoint = load_checkpoint(str(trainer.folder))
    score = score_pieces(checkpoint.model, checkpoint.layout, enumerate(trainer.task.representation.valid))
    assert score.headline == pytest.approx(trainer.progress.best, rel=1e-6)
    assert checkpoint.meta.training["valid_nats_per_voice_16th"] == trainer.progress.best
    assert checkpoint.meta.training["step"] == trainer.progress.best_step
    assert log_lines(trainer, "valid")[trainer.progress.best_step]["nats_per_voice_16th"] == trainer.progress.best


def test_training_in_bf16_is_evaluated_in_fp32(make_trainer, monkeypatch):
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        trainer = make_trainer(max_steps=2, eval_every=2, precision="bf16")
        seen = []
        trainer.task._step_model.model.lm_head.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
        trainer.task.published_model.register_forward_hook(lambda _, __, out: seen.append(out.logits.dtype))
        trainer.train()
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert seen[:2] == [torch.bfloat16] * 2
    assert set(seen[2:]) == {torch.float32}
    assert trainer.task.model.dtype == torch.float32


def test_training_learns(make_trainer):
    trainer = make_trainer(max_steps=40, eval_every=20, save_every=40, model__dropout=0.0)
    trainer.train()
    values = losses(trainer)
    assert sum(values[-5:]) < 0.75 * sum(values[:5])
    history = [nats for _, nats in trainer.progress.history]
    assert history[-1] < history[0]


def test_without_an_average_the_weights_themselves_are_published(make_trainer):
    trainer = make_trainer(max_steps=2, eval_every=2, optimizer__ema_decay=0)
    trainer.train()
    weights = load_checkpoint(str(trainer.folder / "last")).model.state_dict()
    assert all(torch.equal(weights[name], p) for name, p in trainer.task.model.named_parameters())
    again = make_trainer(max_steps=2, eval_every=2, optimizer__ema_decay=0)
    again.resume()
    assert_same_state(trainer, again)


def test_a_kill_while_a_checkpoint_is_swapped_in_loses_nothing(make_trainer):
    trainer = make_trainer(max_steps=2)
    trainer.train()
    (trainer.folder / "last").rename(trainer.folder / "last.old")
    again = make_trainer(max_steps=2)
    again.resume()
    assert again.progress.step == 2
    assert not (trainer.folder / "last.old").exists()


def test_a_folder_without_checkpoint_cannot_be_resumed(make_trainer):
    with pytest.raises(InputError, match="has no checkpoint to resume from"):
        make_trainer().resume()


def test_an_epoch_too_short_for_a_step_is_refused(make_trainer):
    trainer = make_trainer(data__micro_batches=50)
    with pytest.raises(InputError, match="An epoch has under 50 batches"):
        trainer.train()


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(make_trainer, monkeypatch):
    trainer = make_trainer(save_every=1)
    step = trainer.task.step

    def poisoned():
        if trainer.progress.step == 2:
            torch.nn.init.constant_(trainer.task.model.get_input_embeddings().weight, float("nan"))
        return step()

    monkeypatch.setattr(trainer.task, "step", poisoned)
    with pytest.raises(InputError, match=r"The loss of step 3 is nan\. Lower"):
        trainer.train()
    shutil.copytree(trainer.folder, trainer.folder.with_name("copy"))
    again = make_trainer("copy")
    again.resume()
    assert again.progress.step == 2
    assert all(p.isfinite().all() for p in again.task.model.parameters())


def test_micro_batches_must_be_dealt_out_evenly():
    config = build_config(RunConfig, {"data": {"micro_batches": 3}}, "here")
    contexts = [SimpleNamespace(config=config, accelerator=SimpleNamespace(num_processes=n)) for n in (2, 3)]
    begin_causal_run(contexts[1])
    with pytest.raises(InputError, match=r"data\.micro_batches is 3 for 2 processes\. Set a multiple of 2"):
        begin_causal_run(contexts[0])
