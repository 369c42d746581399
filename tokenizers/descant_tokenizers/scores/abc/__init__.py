"""ABC notation after the ABC 2.1 standard: text and tune books, fields, music code, lyrics, and the score they make.

`text` finds the tunes of a file and decodes strings, `fields` reads the values of fields, `tokens` cuts music code into
symbols, `music` takes the symbols and `lyrics` the words of a `Voice`, `parser` goes through a tune, `reader` makes a
score.
"""
