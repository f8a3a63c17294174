"""One module per format.

Each has ``PARAMETERS`` (names of those of `trainer.reading` that mean something for it) and
``read(folder, names, reading) -> Parts``; `names` are the files below `folder`, parts separated by "/".
"""
