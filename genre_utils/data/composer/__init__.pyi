from .artists import make_artists as make_artists
from .artists import score_of as score_of
from .artists import track_plan as track_plan
from .collection import GENERATOR_VERSION as GENERATOR_VERSION
from .collection import compose_corpus as compose_corpus
from .pieces import GENRES as GENRES
from .rendering import perform_track as perform_track
