"""Archives from strangers: `.tar`, `.tar.gz` and `.zip`, unpacked as they stream in.

Only regular files and folders come out, below one folder, within limits; anything else in an archive ends the
step with one sentence. Python's own ``extractall`` is not used: its filters have been bypassed (CVE-2025-4517).
"""
