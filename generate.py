"""Write music: a melody in, a chorale out.

python generate.py --prompt melody.mid                              harmonize it with the embedded weights
python generate.py --prompt melody.mid --num-samples 4 --seed 1     four versions, the same ones every time
python generate.py --prompt melody.mid --formats midi,pdf,mp3       as sheet music and sound
python generate.py --prompt melody.mid --chords                     print the chords, and write them above the notes
python generate.py --prompt duet.mid --given soprano,bass           write the inner voices only
python generate.py --prompt chorale.mid --task continue --bars 8    eight bars more
python generate.py --prompt chorale.mid --task infill --bars 5-8    bars 5 to 8 anew, everything else untouched
python generate.py --prompt melody.mid --model runs/chorales        with a model of your own
python generate.py --prompt song.mid --model runs/midi-folder --given melody --write piano,bass     of any instruments
python generate.py --model midinet --bars 8 --chords "C G Am F" --out tune.mid     a melody from noise, to be a prompt
python generate.py --model roll-gan --seed 1                        four bars of four tracks from noise
"""

import sys

try:
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

    from descant_tokenizers.cli.main import run

    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command(cls=GenerateCommand)(generate_command)
    run(app)
