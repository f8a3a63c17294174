"""A process as the kubelet starts it in a restricted pod: the image's files read-only, a bare user, no privilege.

What is not confined is the network: the platform of the tests is on this machine's loopback.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.image.images import Image

UID = 65532
_SCRIPT = r"""
set -eu
root=$1 room=$2 folder=$3 user=$4 writable=$5
shift 5
mount -t tmpfs tmpfs "$room"                 # gone with the process and its mount namespace
mkdir "$room/changes" "$room/work" "$room/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$room/changes,workdir=$room/work" "$room/root"
root=$room/root
mkdir -p "$root/proc" "$root/dev" "$root/tmp"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm"
[ -z "$writable" ] || mount -t tmpfs -o mode=1777 tmpfs "$root$writable"
for file in /etc/hosts /etc/resolv.conf; do
    : >"$root$file"
    mount --bind "$file" "$root$file"
done
while [ "$1" != -- ]; do                     # what is mounted, and where
    place=$root$(chroot "$root" readlink -m "$2")    # /var/run is a link, and not to this machine's /run
    mkdir -p "$place"
    mount --bind "$1" "$place"
    mount -o "remount,bind,${3}" "$place"
    shift 3
done
shift
mount -o remount,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user" --groups="${user#*:}" "$root" env --chdir="$folder" "$@"
"""


def command(
    image: Image,
    arguments: Sequence[str],
    room: Path,
    *,
    mounts: Mapping[str, Path] | None = None,
    shared: Mapping[str, Path] | None = None,
    writable: str = "",
) -> list[str]:
    """What starts a program of an image, confined. It becomes that program: same process, same signals.

    Parameters
    ----------
    room
        An empty folder of this process's own.
    mounts
        What is seen, read-only, at a path; `shared` the same to write into.
    writable
        A folder that is there in memory, as an ``emptyDir`` is.
    """
    found = ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _SCRIPT, "confined"]
    found += [str(image.root), str(room), image.folder, image.user, writable]
    for places, how in ((mounts or {}, "ro"), (shared or {}, "rw")):
        for path, source in places.items():
            found += [str(source), path, how]
    return [*found, "--", *arguments]


def run(
    image: Image,
    arguments: Sequence[str],
    room: Path,
    *,
    environment: Mapping[str, str] | None = None,
    mounts: Mapping[str, Path] | None = None,
    shared: Mapping[str, Path] | None = None,
    writable: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a program of an image to its end."""
    room.mkdir(parents=True)
    return subprocess.run(
        command(image, arguments, room, mounts=mounts, shared=shared, writable=writable),
        env={**image.environment, **(environment or {})},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
