"""Workers, nodes and drivers that are killed while Ray Data shuffles: the same is removed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_runs import PLACES, Deduplication
from disturbed import KINDS, Disturbed
from medray.corpus.dedup.config import DeduplicateConfig
from medray.corpus.dedup.deduplicate import RESULT_NAME, DedupResult
from medray.corpus.dedup.evidence import read_removed
from medray.languages import LANGUAGES
from medray.storage.location import Location
from ray_nodes import Nodes, ray_nodes

from .planting import edited, text_of, words_of

NODES = 2
# Blocks of a shuffle above 100 KB lie in their nodes' object stores, where a lost node takes them
# along; smaller ones, such as 24 partitions make of these files, lie in the driver.
FILES, DOCUMENTS, PARTITIONS = 3, 4000, 6


def write_planted(folder: Path, files: int, documents: int, seed: int = 11) -> Path:
    """Write files of random documents of 60 words of each language, one in five of them planted.

    Half of these equal an earlier document of the language's files, half are near one.
    """
    folder.mkdir(parents=True)
    config = DeduplicateConfig()
    for code in LANGUAGES:
        draw, made = random.Random(f"{seed} {code}"), list[list[str]]()
        vocabulary, size = words_of(code, 2000, draw), config.shingle_size(code)
        for number in range(files):
            for _ in range(documents):
                chance = draw.random() if made else 1.0
                if chance < 0.1:
                    made.append(draw.choice(made))
                elif chance < 0.2:
                    made.append(edited(draw.choice(made), size, 0.8, draw))
                else:
                    made.append(draw.choices(vocabulary, k=60))
            columns = {
                "document_id": [f"{code}:{number}:{row}" for row in range(documents)],
                "text": [text_of(words) for words in made[-documents:]],
                "source": [f"source-{row % 3}" for row in range(documents)],
            }
            pq.write_table(pa.table(columns), folder / f"{code}_{number:03d}.parquet")
    return folder


# The driver's end in the middle brings the run back to "equal".
PLAN = (
    ("worker", "signatures"),
    ("worker", "equal"),
    ("node", "equal"),
    ("worker", "pairs"),
    ("node", "pairs"),
    ("worker", "verify"),
    ("driver", "verify"),
    ("worker", "equal"),
    ("worker", "pairs"),
    ("node", "verify"),
    ("worker", "evidence"),
    ("node", "evidence"),
)
# Undisturbed, the places last 1, 5, 8, 6 and 7 s on two cores.
LONGEST_PAUSE_S = dict(zip(PLACES, (0.1, 3.0, 6.0, 4.0, 3.0), strict=False))
SHUFFLED = ("equal", "pairs", "verify", "evidence")


def removals(work: Path) -> pa.Table:
    """Return all removals, sorted by the removed documents' ids, each of which stands once."""
    folder = DedupResult(Location.of(work), {}, {}, [], []).evidence()
    return read_removed(folder).sort_by("removed_id").combine_chunks()


def left_of(work: Path) -> set[str]:
    """Return the names of what lies in a folder of work, and of half written files below it."""
    names = {path.name for path in work.iterdir()}
    return names | {path.name for path in work.rglob("*.partial")}


@dataclass(frozen=True)
class Stand:
    """A cluster, documents, and what a deduplication that nobody disturbed made of them."""

    cluster: Nodes
    kept: Path
    calm: Path

    def start(self, work: Path, partitions: int = PARTITIONS) -> Deduplication:
        address, environment = self.cluster.address, self.cluster.environment
        return Deduplication.start(self.kept, work, address, partitions, environment)

    def check_equal(self, killed: Path) -> None:
        expected = removals(self.calm)
        assert expected.num_rows > FILES * DOCUMENTS  # a sixth of all
        assert removals(killed).equals(expected)
        assert (killed / RESULT_NAME).read_bytes() == (self.calm / RESULT_NAME).read_bytes()
        assert left_of(killed) == left_of(self.calm)
        assert "between" not in left_of(killed)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("stand")
    kept = write_planted(folder / "kept", FILES, DOCUMENTS)
    with ray_nodes(folder, NODES) as cluster:
        made = Stand(cluster, kept, folder / "calm")
        made.start(made.calm, 5).wait()
        yield made


@pytest.mark.slow
# In 7 a node is lost while reducers that want its rows hold every CPU.
@pytest.mark.parametrize("seed", [6, 7])
def test_kills_of_workers_nodes_and_the_driver_in_a_shuffle_change_no_removal(
    stand: Stand, tmp_path: Path, seed: int
) -> None:
    killed = tmp_path / "killed"
    disturbed = Disturbed(stand.cluster, lambda: stand.start(killed), PLACES)
    disturbed.through(PLAN, LONGEST_PAUSE_S, seed)
    kills = disturbed.kills
    print("kills:", *kills, sep="\n")
    stand.check_equal(killed)
    assert Counter(kill.kind for kill in kills) == Counter(kind for kind, _ in PLAN)
    met = [kill for kill in kills if kill.place in SHUFFLED]
    assert {kill.kind for kill in met} == set(KINDS), kills
    assert any("Shuffle" in kill.task for kill in met), kills


@pytest.mark.slow
def test_a_shuffles_task_that_dies_often_is_begun_anew(stand: Stand, tmp_path: Path) -> None:
    """Ray gives a task up at its fourth death where nobody says otherwise, as Ray Data does not."""
    killed = tmp_path / "killed"
    disturbed = Disturbed(stand.cluster, lambda: stand.start(killed), PLACES)
    # The candidates of so few documents are one group, so this walk has one such task.
    disturbed.through_task("ray::HashShuffleReduce(keys=('group',)", 6)
    print("kills:", *disturbed.kills, sep="\n")
    stand.check_equal(killed)
    assert {kill.place for kill in disturbed.kills} == {"verify"}
    assert "begun anew, 2 of" in disturbed.run.tail()
