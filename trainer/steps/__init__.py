"""One module per step of the pipeline. Each has `run(...)`, whose arguments are the step's command line."""
