"""The conditional GAN of the source article: a melody as a piano roll in, four tracks as piano rolls out."""
