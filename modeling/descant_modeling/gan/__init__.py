"""Three GANs: the source article's conditional and unconditional ones on piano rolls, and MidiNet."""
