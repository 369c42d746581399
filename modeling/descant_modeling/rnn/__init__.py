"""A recurrent language model of four voices on the sounding-pitch grid, after TonicNet."""
