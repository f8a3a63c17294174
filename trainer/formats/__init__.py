"""One module per format. Each has `recognised(files) -> bool` and `read(directory, files) -> Parts`."""
