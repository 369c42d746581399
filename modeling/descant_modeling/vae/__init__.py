"""A recurrent variational autoencoder of two bars, of a melody or of four voices, after MusicVAE."""
