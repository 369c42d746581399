"""Train a model.

    python train.py                                        one process on the best device (CUDA, MPS, CPU)
    accelerate launch train.py                             the same with your settings of Accelerate
    accelerate launch train.py --config configs/smoke.yaml  one minute on two cores
    accelerate launch --multi_gpu train.py --config configs/chorales.yaml data.micro_batches=8
    torchrun --nproc-per-node 2 train.py data.micro_batches=2      two processes (on a CPU: ACCELERATE_USE_CPU=true)
    python train.py --resume runs/chorales                 resume a run where it stopped

Values of the YAML file can be overridden after the options: `optimizer.learning_rate=3e-4 model.dropout=0.1`.
"""

import sys

try:
    from descant_modeling.cli.examples import examples_of
    from descant_modeling.cli.main import train_command
except ModuleNotFoundError as error:
    print(
        f"error: This Python has no module {error.name}. Run `make demo` and use .venv/bin/python, or see README.md.",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    import typer

    from descant_tokenizers.cli.main import HELP_OPTIONS, run

    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False, context_settings=HELP_OPTIONS)
    app.command(epilog=examples_of("train"))(train_command)
    run(app)
