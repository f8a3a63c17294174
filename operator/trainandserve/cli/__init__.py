"""The command line for people: `trainandserve`, which kubectl starts as `kubectl tas`.

It asks the API server and nobody else but the model server, with the rights of whoever calls it. The operator's process knows
nothing of it.
"""
