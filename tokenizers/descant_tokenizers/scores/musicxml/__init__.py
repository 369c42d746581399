"""MusicXML 4.0: the elements of a partwise or timewise file, and the score and marks that they make.

`parser` goes through the measures of a part, `directions` reads what stands above and below the staves, `reader`
makes a score of the parts.
"""
