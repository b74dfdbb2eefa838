from . import retrieval as retrieval
from .exporting import export_model as export_model
from .exporting import export_table as export_table
from .exporting import exportable as exportable
from .exporting import obstacle as obstacle
from .model_card import write_all as write_all
from .recogniser import ExperimentAnalyzer as ExperimentAnalyzer
from .recogniser import MusicStyleRecognition as MusicStyleRecognition
