"""What every peer has to get done, and how it tells what came of it."""

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Load:
    """So many jobs at the far end of `base_url`; a job is asked for every `interval` seconds. Files go to `folder`."""

    base_url: str
    jobs: int
    interval: float
    folder: str

    @classmethod
    def from_argument(cls) -> "Load":
        return cls(**json.loads(sys.argv[1]))

    def as_argument(self) -> str:
        return json.dumps(asdict(self))


@dataclass(slots=True)
class Outcome:
    """What a peer spent from its first job to the end of its last; `late` are seconds between the moment at
    which a poll was to be made and its answer."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_megabytes: float = 0.0
    late: list[float] = field(default_factory=list)


class Stopwatch:
    """For a peer that lives in one process: its imports and its start do not count."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def tell(self, late: list[float]) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        spent = (time.perf_counter() - self._wall, time.process_time() - self._cpu)
        print(json.dumps(asdict(Outcome(*spent, peak, late))), flush=True)


def order(number: int) -> dict[str, str]:
    return {
        "model": "sora-2",
        "prompt": f"The lamplighter crosses the bridge, {number}",
        "seconds": "4",
        "size": "1280x720",
    }


HEADERS = {"Authorization": "Bearer sk-benchmark"}
