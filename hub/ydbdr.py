"""YDbDr, the colours in which CMC parts an image into luma and chroma, as one linear map of RGB.

Normalising YDbDr by the published mean and deviation is the same as taking away the RGB colour that has this mean and
then one matrix without an offset. So a network on YDbDr is a network on RGB whose first convolution has the matrix in
it, its zero padding included.

Source: HobbitLong/PyContrast, datasets/util.py; the matrix is that of ITU-R BT.470's SECAM as scikit-image has it.
"""

import numpy as np

_MATRIX = np.array([[0.299, 0.587, 0.114], [-0.45, -0.883, 1.333], [-1.333, 1.116, 0.217]])
_YDBDR_MEAN, _YDBDR_STD = np.array([0.457, -0.082, -0.052]), np.array([0.500, 1.331, 1.333])


def _plain(numbers: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (float(number) for number in numbers.round(9))
    return red, green, blue


MEAN = _plain(np.linalg.solve(_MATRIX, _YDBDR_MEAN))
"""The RGB colour, 0-1, that lies at the mean."""

TO_YDBDR = tuple(_plain(row) for row in _MATRIX / _YDBDR_STD[:, None])
"""(3, 3): from RGB less `MEAN` to normalised YDbDr."""
