"""What it costs to decode a title once for all who look and listen."""

import subprocess
import sys
from pathlib import Path

from bench.harness import Figure
from bench.measuring import all_cpu_s, cpu_s, fresh_folder, interleaved
from mediafm_core.media.limits import Limits
from mediafm_core.media.one_pass import decode_into
from mediafm_core.media.sandbox import decode
from mediafm_core.media.worker import request

CUT = Path(__file__).parents[1] / "samples" / "bbb-cut"
"""A delivery of 58.9 s, 640x360, VP9 and Opus, with 13 shots."""
MEDIA = CUT / "media.webm"


def one_pass() -> Figure:
    """The pass with all that it keeps, against PyAV decoding both streams and dropping them, on as many threads."""
    pair = interleaved(
        lambda: decode_into(MEDIA, fresh_folder(), Limits(), lambda _: None), _bare_decode, rounds=3, clock=cpu_s
    )
    return pair.as_figure("one pass", "bare")


def _bare_decode() -> None:
    import av

    with av.open(str(MEDIA)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        video.thread_type, video.codec_context.thread_count = "AUTO", Limits().n_threads
        n_frames = sum(len(packet.decode()) for packet in container.demux(video, audio))
    assert n_frames > 0


def sandbox() -> Figure:
    """The same pass in its child process with limits, against in this one: what a process of its own costs."""
    pair = interleaved(
        lambda: decode(MEDIA, fresh_folder() / "set"),
        lambda: decode_into(MEDIA, fresh_folder(), Limits(), lambda _: None),
        rounds=3,
        clock=all_cpu_s,
        warm_up=False,
    )
    return pair.as_figure("child", "here")


_WORKER = """
import sys
from pathlib import Path
from mediafm_core.media.worker import main

assert main(sys.argv[1]) == 0
print(Path("/proc/self/status").read_text())
"""


def peak_memory() -> Figure:
    """MiB that the decode's process held at most, by Linux's own mark; its parent's memory does not count."""
    asked = request(MEDIA, fresh_folder(), Limits(), cpu_s=600)
    said = subprocess.run([sys.executable, "-c", _WORKER, asked], capture_output=True, text=True, check=True).stdout
    kibibytes = next(line.split()[1] for line in said.splitlines() if line.startswith("VmHWM:"))
    return Figure(int(kibibytes) / 1024, "640x360; most of it is the libraries")
