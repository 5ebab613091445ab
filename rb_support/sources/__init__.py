"""Published data: where each file comes from, how it gets here, and how it becomes a table.

    from rb_support.sources import load_routerbench
    table = load_routerbench()  # from RB_DATA_DIR or the cache; nothing is downloaded unasked

What can go wrong stands in `sources.errors`.
Floor 1 of the package. Importing reads no file and touches no network.
"""

from rb_support.cache import SourceError as SourceError
from rb_support.sources.files import at_hand as at_hand
from rb_support.sources.files import fetch as fetch
from rb_support.sources.files import locate as locate
from rb_support.sources.files import verify as verify
from rb_support.sources.records import ModelScores as ModelScores
from rb_support.sources.registry import SOURCES as SOURCES
from rb_support.sources.registry import Source as Source
from rb_support.sources.registry import SourceFile as SourceFile
from rb_support.sources.tables import load_battles as load_battles
from rb_support.sources.tables import load_graded as load_graded
from rb_support.sources.tables import load_judgments as load_judgments
from rb_support.sources.tables import load_pairs as load_pairs
from rb_support.sources.tables import load_priced as load_priced
from rb_support.sources.tables import load_routerbench as load_routerbench
from rb_support.sources.tables import load_search_qa as load_search_qa
from rb_support.sources.tables import locate_routerbench as locate_routerbench
from rb_support.sources.tables import mtbench_scores as mtbench_scores
