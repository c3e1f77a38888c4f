"""Operations of views as loops that Numba compiles, for a CPU: one pass over the pixels where arrays need dozens.

Each gives what its function in `colour`, `blur` or `geometry` gives, bit by bit: the same sums in the same order, each
rounded as there. Images are (n, 3, H, W), uint8; `made` takes the result; amounts are (n,).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_RED, _GREEN, _BLUE, _HALF_16 = np.int32(19595), np.int32(38470), np.int32(7471), np.int32(2**15)
_HALF_24 = np.uint32(2**23)
_0, _HALF, _2, _6, _255 = (np.float32(number) for number in (0, 0.5, 2, 6, 255))

_AT_ONCE = 4096  # pixels, in a core's nearest cache
_compile = njit(cache=True, nogil=True, error_model="numpy")
_compile_fused = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})


@_compile
def _luma(red: np.uint8, green: np.uint8, blue: np.uint8) -> np.int32:
    return (_RED * np.int32(red) + _GREEN * np.int32(green) + _BLUE * np.int32(blue) + _HALF_16) >> 16


@_compile
def _cut(value: np.float32) -> np.uint8:
    return np.uint8(np.int32(min(max(value, _0), _255)))


@_compile
def _blended(value: np.uint8, away: np.float32, factor: np.float32) -> np.uint8:
    return _cut((np.float32(value) - away) * factor + away)


@_compile
def brightness(images: Images, factors: Floats, made: Images) -> None:
    for image in range(len(images)):
        pixels, result = images[image].ravel(), made[image].ravel()
        for place in range(pixels.size):
            result[place] = _cut(np.float32(pixels[place]) * factors[image])


@_compile
def contrast(images: Images, factors: Floats, made: Images) -> None:
    for image in range(len(images)):
        red, green, blue = images[image, 0].ravel(), images[image, 1].ravel(), images[image, 2].ravel()
        total = np.int64(0)
        for place in range(red.size):
            total += _luma(red[place], green[place], blue[place])
        mean = np.float32((2 * total + red.size) // (2 * red.size))  # rounded half up
        pixels, result = images[image].ravel(), made[image].ravel()
        for place in range(pixels.size):
            result[place] = _blended(pixels[place], mean, factors[image])


@_compile
def saturation(images: Images, factors: Floats, made: Images) -> None:
    for image in range(len(images)):
        red, green, blue = images[image, 0].ravel(), images[image, 1].ravel(), images[image, 2].ravel()
        more, middle, less = made[image, 0].ravel(), made[image, 1].ravel(), made[image, 2].ravel()
        for place in range(red.size):
            away = np.float32(_luma(red[place], green[place], blue[place]))
            more[place] = _blended(red[place], away, factors[image])
            middle[place] = _blended(green[place], away, factors[image])
            less[place] = _blended(blue[place], away, factors[image])


@_compile
def shift_hue(images: Images, shifts: Images, trapezoids: Floats, made: Images) -> None:
    """trapezoids: (3, 256), how far each channel lies below the value, as a share of the chroma, by hue."""
    hue, chroma = np.empty(_AT_ONCE, np.uint8), np.empty(_AT_ONCE, np.float32)
    value, turned = np.empty(_AT_ONCE, np.float32), np.empty(_AT_ONCE, np.uint32)
    for image in range(len(images)):
        pixels, result = images[image].reshape(3, -1), made[image].reshape(3, -1)
        for first in range(0, pixels.shape[1], _AT_ONCE):
            part = pixels[:, first : first + _AT_ONCE]
            _split_hue(part[0], part[1], part[2], hue, chroma, value)
            for place in range(part.shape[1]):
                turned[place] = np.uint8(hue[place] + shifts[image])
            for channel in range(3):
                shares, levels = trapezoids[channel], result[channel, first : first + _AT_ONCE]
                for place in range(levels.size):
                    levels[place] = np.int32(value[place] - shares[turned[place]] * chroma[place] + _HALF)


@_compile
def _split_hue(reds: Images, greens: Images, blues: Images, hue: Images, chroma: Floats, values: Floats) -> None:
    for place in range(reds.size):
        red, green, blue = np.int32(reds[place]), np.int32(greens[place]), np.int32(blues[place])
        high, low = max(red, green), min(red, green)
        value, least = max(high, blue), min(low, blue)
        spread, below = value - least, value - max(low, min(high, blue))
        corner = np.int32(value != red) * (2 + 2 * np.int32(value != green))  # 0, 2, 4: red, green, blue is the largest
        votes = np.int32(blue > green) + np.int32(red >= blue) + np.int32(green > red)  # 2 before the corner, 1 behind
        side = 2 * votes - 3
        sixth = np.float32(corner - side) + np.float32(below) / np.float32(spread + (spread == 0)) * np.float32(side)
        turn = sixth / _6
        hue[place] = np.int32((turn - np.floor(turn)) * _255)
        share = np.floor(np.float32(spread) / np.float32(value + (value == 0)) * _255)
        values[place] = np.float32(value)
        chroma[place] = np.float32(value) * share / _255


@_compile
def boxes(images: Images, weights: NDArray[np.uint32], made: Images) -> None:
    """weights: (n, reach + 1), see `blur.box_weights`."""
    width = images.shape[3]
    for image in range(len(images)):
        own = _without_zeros(weights[image])
        for channel in range(3):
            _three_boxes(images[image, channel], own, 1, made[image, channel])
            _three_boxes(made[image, channel], own, width, made[image, channel])


@_compile
def _three_boxes(plane: Images, weights: NDArray[np.uint32], step: int, made: Images) -> None:
    """Along the rows (step 1) or down the columns (their width)."""
    height, width = plane.shape
    reach = weights.size - 1
    right, below = (reach, 0) if step == 1 else (0, reach)
    values = np.empty((height + 2 * below, width + 2 * right), np.uint8)
    other = np.empty((height + 2 * below, width + 2 * right), np.uint8)
    for y in range(height):
        _copy(plane[y], values[y + below, right : right + width])
    for _ in range(3):
        _continue_edges(values, below, right)
        _box(values.ravel(), weights, step, other.ravel())
        values, other = other, values
    for y in range(height):
        _copy(values[y + below, right : right + width], made[y])


@_compile
def _copy(source: Images | Floats, target: Images | Floats) -> None:
    for place in range(source.size):
        target[place] = source[place]


@_compile
def _continue_edges(values: Images, below: int, right: int) -> None:
    height, width = values.shape
    for y in range(height):
        for x in range(right):
            values[y, x], values[y, width - 1 - x] = values[y, right], values[y, width - 1 - right]
    for y in range(below):
        for x in range(width):
            values[y, x], values[height - 1 - y, x] = values[below, x], values[height - 1 - below, x]


@_compile
def _without_zeros(weights: NDArray[np.uint32]) -> NDArray[np.uint32]:
    end = weights.size
    while end > 1 and weights[end - 1] == 0:
        end -= 1
    return weights[:end]


@_compile
def _box(values: Images, weights: NDArray[np.uint32], step: int, made: Images) -> None:
    """A plane as one long row, whose neighbours are `step` apart; what comes out of the margins is of no use."""
    total = np.empty(_AT_ONCE, np.uint32)
    reach = weights.size - 1
    last = values.size - reach * step
    for first in range(reach * step, last, _AT_ONCE):
        length = min(_AT_ONCE, last - first)
        middle, result, weight = values[first : first + length], made[first : first + length], weights[0]
        for place in range(length):
            total[place] = _HALF_24 + weight * np.uint32(middle[place])
        for offset in range(1, reach + 1):
            before, behind = values[first - offset * step :], values[first + offset * step :]
            weight = weights[offset]
            for place in range(length):
                total[place] += weight * (np.uint32(before[place]) + np.uint32(behind[place]))
        for place in range(length):
            result[place] = total[place] >> np.uint32(24)


@_compile
def taps(images: Images, weights: Floats, made: Images) -> None:
    """weights: (n, reach + 1), see `blur.tap_weights`; the reach is below the images' sides."""
    height, width = images.shape[2:]
    reach = weights.shape[1] - 1
    columns, rows = np.empty((height + 2 * reach, width), np.float32), np.empty((height, width + 2 * reach), np.float32)
    summed, total = np.empty((height, width), np.float32), np.empty((height, width + 2 * reach), np.float32)
    for image in range(len(images)):
        for channel in range(3):
            for y in range(height):
                _as_shares(images[image, channel, y], columns[y + reach])
            for offset in range(1, reach + 1):
                _copy(columns[reach + offset], columns[reach - offset])
                _copy(columns[reach + height - 1 - offset], columns[reach + height - 1 + offset])
            _sum(columns.ravel(), weights[image], width, summed.ravel())
            for y in range(height):
                row = rows[y]
                _copy(summed[y], row[reach : reach + width])
                for offset in range(1, reach + 1):
                    row[reach - offset] = row[reach + offset]
                    row[reach + width - 1 + offset] = row[reach + width - 1 - offset]
            _sum(rows.ravel(), weights[image], 1, total.ravel())
            for y in range(height):
                _as_bytes(total[y, :width], made[image, channel, y])


@_compile
def _as_shares(row: Images, made: Floats) -> None:
    for x in range(row.size):
        made[x] = np.float32(row[x]) / _255


@_compile
def _as_bytes(shares: Floats, made: Images) -> None:
    for x in range(made.size):
        made[x] = np.int32(min(shares[x] * _255, _255))


@_compile_fused
def _sum(values: Floats, weights: Floats, step: int, total: Floats) -> None:
    """A plane as one long row, whose neighbours are `step` apart; what comes out of the margins is of no use."""
    reach = weights.size - 1
    size = values.size - 2 * reach * step
    for first in range(0, size, _AT_ONCE):
        length = min(_AT_ONCE, size - first)
        middle, result, weight = values[first + reach * step :], total[first : first + length], weights[0]
        for place in range(length):
            result[place] = middle[place] * weight
        for offset in range(1, reach + 1):
            before, behind = values[first + (reach - offset) * step :], values[first + (reach + offset) * step :]
            weight = weights[offset]
            for place in range(length):
                result[place] += (before[place] + behind[place]) * weight


@_compile
def slide(images: Images, shifts: Doubles, is_upright: bool, is_cubic: bool, fill: Images, made: Images) -> None:
    """shifts: (n, lines or 1), in pixels, of rows or, where it is upright, of columns."""
    height, width = images.shape[2:]
    size = height if is_upright else width
    for image in range(len(images)):
        for y in range(height):
            for x in range(width):
                place, line = (y, x) if is_upright else (x, y)
                source = place + 0.5 + shifts[image, min(line, shifts.shape[1] - 1)]
                if not 0 <= source < size:
                    for channel in range(3):
                        made[image, channel, y, x] = fill[channel]
                    continue
                first = np.floor(source - 0.5)
                d, p = np.float32(source - 0.5 - first), np.int64(first)
                p1, p2, p3, p4 = max(p - 1, 0), max(p, 0), min(p + 1, size - 1), min(p + 2, size - 1)
                for channel in range(3):
                    plane = images[image, channel]
                    if is_upright:
                        v1, v2, v3, v4 = plane[p1, x], plane[p2, x], plane[p3, x], plane[p4, x]
                    else:
                        v1, v2, v3, v4 = plane[y, p1], plane[y, p2], plane[y, p3], plane[y, p4]
                    made[image, channel, y, x] = _cut(_between(v1, v2, v3, v4, d, is_cubic))


@_compile
def rotate(images: Images, cosines: Doubles, sines: Doubles, is_cubic: bool, fill: Images, made: Images) -> None:
    height, width = images.shape[2:]
    for image in range(len(images)):
        cos, sin = cosines[image], sines[image]
        for y in range(height):
            down = y + 0.5 - height / 2
            for x in range(width):
                across = x + 0.5 - width / 2
                source_x, source_y = cos * across - sin * down + width / 2, sin * across + cos * down + height / 2
                if not (0 <= source_x < width and 0 <= source_y < height):
                    for channel in range(3):
                        made[image, channel, y, x] = fill[channel]
                    continue
                left, top = np.floor(source_x - 0.5), np.floor(source_y - 0.5)
                d, e = np.float32(source_x - 0.5 - left), np.float32(source_y - 0.5 - top)
                for channel in range(3):
                    value = _read(images[image, channel], int(left), int(top), d, e, is_cubic)
                    made[image, channel, y, x] = _cut(value)


@_compile
def _read(plane: Images, left: int, top: int, d: np.float32, e: np.float32, is_cubic: bool) -> np.float32:
    """Between the pixels around (left + d, top + e)."""
    height, width = plane.shape
    c1, c2, c3, c4 = max(left - 1, 0), max(left, 0), min(left + 1, width - 1), min(left + 2, width - 1)
    r2, r3 = plane[max(top, 0)], plane[min(top + 1, height - 1)]
    v2 = _between(r2[c1], r2[c2], r2[c3], r2[c4], d, is_cubic)
    v3 = _between(r3[c1], r3[c2], r3[c3], r3[c4], d, is_cubic)
    if not is_cubic:
        return v2 + (v3 - v2) * e
    r1, r4 = plane[max(top - 1, 0)], plane[min(top + 2, height - 1)]
    v1 = _between(r1[c1], r1[c2], r1[c3], r1[c4], d, is_cubic)
    v4 = _between(r4[c1], r4[c2], r4[c3], r4[c4], d, is_cubic)
    return _cubic(v1, v2, v3, v4, e)


@_compile
def _between(b1: np.uint8, b2: np.uint8, b3: np.uint8, b4: np.uint8, d: np.float32, is_cubic: bool) -> np.float32:
    v1, v2, v3, v4 = np.float32(b1), np.float32(b2), np.float32(b3), np.float32(b4)
    return _cubic(v1, v2, v3, v4, d) if is_cubic else v2 + (v3 - v2) * d


@_compile
def _cubic(v1: np.float32, v2: np.float32, v3: np.float32, v4: np.float32, d: np.float32) -> np.float32:
    """See `geometry._interpolate`."""
    return v2 + d * ((v3 - v1) + d * ((_2 * (v1 - v2) + v3 - v4) + d * (v2 - v1 - v3 + v4)))


@_compile
def look_up(images: Images, tables: Floats, made: Floats) -> None:
    """(N, 3, P) to float32, by what each channel's table, (3, 256), has for a value."""
    for image in range(len(images)):
        for channel in range(3):
            pixels, result, table = images[image, channel], made[image, channel], tables[channel]
            for place in range(pixels.size):
                result[place] = table[pixels[place]]
