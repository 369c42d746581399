"""Write music: a melody in, a chorale out.

python generate.py melody.mid                                       harmonize it with the embedded weights
python generate.py --prompt melody.mid --num-samples 4 --seed 1     four samples, the same every time
python generate.py --prompt melody.mid --formats midi,pdf,mp3       as MIDI, sheet music and sound
python generate.py --prompt melody.mid --chords                     print the chords, and add them to the score
python generate.py --prompt duet.mid --given soprano,bass           write only the inner voices
python generate.py --prompt chorale.mid --task continue --bars 8    add eight bars
python generate.py --prompt chorale.mid --task infill --bars 5-8    rewrite bars 5 to 8, keep everything else
python generate.py --prompt melody.mid --model runs/chorales        use a model of your own
python generate.py --prompt song.mid --model runs/midi-folder --given melody --write piano,bass     for any instruments
python generate.py --model midinet --bars 8 --chords "C G Am F" --out tune.mid     compose a melody, to be a prompt
python generate.py --model roll-gan --seed 1                        compose four bars of four tracks
"""

import sys

try:
    from descant_modeling.cli.examples import examples_of
    from descant_modeling.cli.generate import generate_command
    from descant_modeling.cli.options import GenerateCommand
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
    app.command(cls=GenerateCommand, epilog=examples_of("generate"))(generate_command)
    run(app)
