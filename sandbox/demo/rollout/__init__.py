"""The demo of rollouts: only a better model reaches users, and a worse one leaves by itself, in both modes of KServe."""
