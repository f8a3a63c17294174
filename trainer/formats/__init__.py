"""One module per format.

Each has ``PARAMETERS`` (names of those of `trainer.reading` that mean something for it) and
``read(directory, names, reading) -> Parts``; `names` are the files below `directory`, parts separated by "/".
"""
