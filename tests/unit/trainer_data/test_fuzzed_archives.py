"""Valid archives, broken at random, from seeds: nothing gets out, nothing grows, nothing hangs.

TRAINER_FUZZED_ARCHIVES says how many (400; the whole campaign is 5,000), TRAINER_FUZZ_SEED where the seeds begin.
"""

import gzip
import os
import random
import struct
from pathlib import Path

import pytest

from tests.unit.trainer_data.archives import FOLDER, SYMLINK, Tally, pax, tar, tar_entry
from tests.unit.trainer_data.unpacking import outcome

COUNT = int(os.environ.get("TRAINER_FUZZED_ARCHIVES", "400"))
SEED = int(os.environ.get("TRAINER_FUZZ_SEED", "0"))
GROUPS = 20
FILES = {
    "train/cat/1.png": b"\x89PNG" + bytes(700),
    "train/dog/2.png": b"x" * 90,
    "b.csv": b"a,label\n1,x\n" * 40,
}
NAMES = [
    b"../../outside/canary",
    b"/etc/passwd",
    b"a/../..",
    b"C:\\x",
    b"train",
    b"TRAIN/cat",
    b"",
    b"\xff\xfe",
    b".",
]
NUMBERS = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1]


def _valid(chance: random.Random) -> bytes:
    entries = [tar_entry(name, content) for name, content in FILES.items()]
    entries += [pax({"path": "p/" + "q" * 40, "size": "1"}), tar_entry("short"), tar_entry("d/", b"", FOLDER)]
    chance.shuffle(entries)
    return chance.choice([tar(*entries), Tally(FILES).zip()])


def _broken(content: bytes, chance: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        at = chance.randrange(len(found) or 1)
        match chance.randrange(8):
            case 0:
                found[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del found[at : at + chance.choice([1, 30, 512, 2_000])]
            case 2:
                at, begin = _a_header(found, chance), _a_header(found, chance)
                found[at:at] = found[begin : begin + chance.choice([4, 512, 1_024])]
            case 3:
                number = struct.pack(chance.choice("<>") + "Q", chance.choice(NUMBERS))
                size = chance.choice([2, 4, 8])
                found[at : at + size] = number[:size]
            case 4:
                del found[at:]
            case 5:
                name = chance.choice(NAMES)
                at = _a_header(found, chance)
                found[at : at + 100] = name.ljust(100, b"\0")
            case 6:
                at = _a_header(found, chance)
                kinds = [b"L", b"x", b"g", b"S", SYMLINK, b"1", b"7", b"\0", FOLDER]
                found[at + 156 : at + 157] = chance.choice(kinds)
            case 7:
                at = _a_header(found, chance)
                found[at + 124 : at + 136] = chance.choice(
                    [b"\x80" + b"\xff" * 11, b"\xff" * 12, b"77777777777\0", b"-1".ljust(12)]
                )
    return bytes(found)


def _a_header(content: bytearray, chance: random.Random) -> int:
    found = [at for at in range(0, len(content), 512) if content[at + 257 : at + 262] == b"ustar"]
    return chance.choice(found or [0])


def _summed(content: bytes) -> bytes:
    """Return a tar with right checksums wherever a header may be, or most breakage would end at the first one."""
    blocks = [content[at : at + 512] for at in range(0, len(content), 512)]
    return b"".join(
        block[:148] + b"%06o\0 " % (sum(block) - sum(block[148:156]) + 256) + block[156:]
        if len(block) == 512 and block[257:262] == b"ustar"
        else block
        for block in blocks
    )


def fuzzed(seed: int) -> bytes:
    chance = random.Random(seed)
    valid = _valid(chance)
    broken = _broken(valid, chance)
    if not valid.startswith(b"PK"):
        broken = _summed(broken) if chance.random() < 0.8 else broken
        if chance.random() < 0.5:
            broken = gzip.compress(broken, mtime=0)
            broken = _broken(broken, chance) if chance.random() < 0.3 else broken
    return broken


@pytest.mark.parametrize("group", range(GROUPS))
def test_no_broken_archive_breaks_out_grows_or_hangs(group: int, tmp_path: Path) -> None:
    for number in range(group, COUNT, GROUPS):
        seed = SEED + number
        try:
            outcome(fuzzed(seed), tmp_path / str(seed))
        except BaseException as error:
            error.add_note(f"archive of seed {seed}")
            raise


def test_the_broken_archives_reach_all_the_checks(tmp_path: Path) -> None:
    said = [outcome(fuzzed(seed), tmp_path / str(seed)) for seed in range(100_000, 100_250)]
    assert 10 < said.count("fine") < 200
    for sentence in (
        "leads out",
        "damaged",
        "cut off",
        "more than 200000 bytes",
        "only files and folders",
        "one would overwrite",
    ):
        assert any(sentence in each for each in said), sentence
