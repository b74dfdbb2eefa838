from .comparisons import costs as costs
from .comparisons import main_pairs as main_pairs
from .coverage import coverage_here as coverage_here
from .scoring import plain_accuracy as plain_accuracy
from .scoring import track_probabilities as track_probabilities
from .study_results import accuracy_by_split as accuracy_by_split
from .study_results import leakage as leakage
from .study_results import results as results
