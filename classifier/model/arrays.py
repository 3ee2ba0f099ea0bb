"""The arrays that models take and return; one row per sound or name."""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES

#: Shape (n, 12), float32, in the order of `CATEGORIES`; rows sum to 1.
Probabilities: TypeAlias = NDArray[np.float32]

#: Shape (n, 24), float32: twelve columns of the general LSTM, then twelve of the learned one.
#: Logarithms as `pooling.name_logs` makes them, or probabilities as `pooling.pooled` does.
ByLstm: TypeAlias = NDArray[np.float32]

#: Shape (n, 8, 12), int64, from `Vocabulary.encode`: the ids of each token's word and sub-words,
#: padded with 0.
TokenIds: TypeAlias = NDArray[np.int64]

#: Shape (n, 6), float32, from `header_features.header_matrix`: unscaled, NaN where not stated.
HeaderMatrix: TypeAlias = NDArray[np.float32]

#: Shape (n, 14), float32. Columns of a name: 1, whether it has a known word, and for each category
#: whether all known words indicate it. The row of a folder is the sum over its names.
WordCounts: TypeAlias = NDArray[np.float32]
N_WORD_COUNTS: Final = 2 + N_CATEGORIES
