"""The demo: from `kubectl apply` to a served model, and on to better ones, under a steady stream of requests."""
