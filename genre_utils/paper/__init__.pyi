from .claims import audit as audit
from .claims import judged as judged
from .published import PAPER as PAPER
from .published import check_arithmetic as check_arithmetic
from .tables import stored_before as stored_before
from .tables import table_1 as table_1
from .tables import table_2 as table_2
