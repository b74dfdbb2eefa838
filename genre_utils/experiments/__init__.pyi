from . import ablation as ablation
from . import feature_statistics as feature_statistics
from . import leakage as leakage
from . import learning_curve as learning_curve
from . import measurements as measurements
from . import own_model as own_model
from . import robustness as robustness
from . import transfer as transfer
