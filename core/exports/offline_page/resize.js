// The rule of `core/sandbox/decoding.py` once more, with the arithmetic of Pillow: the central square, bilinear with
// antialiasing, and large JPEGs first reduced as their decoder does it. The same pixels give the same numbers.

// As _ENOUGH there: a JPEG is reduced while each side stays this many times that of the square.
const ENOUGH = 2
// Bits behind the point of a weight in Pillow.
const BITS = 22
const CHANNELS = 3

// How many times smaller a JPEG is read for a square of `size`: 1, 2, 4 or 8.
export function reduction(width, height, size) {
  const most = Math.floor(Math.min(width / (ENOUGH * size), height / (ENOUGH * size)))
  return [8, 4, 2].find((factor) => factor <= most) ?? 1
}

// The weights along one side: for each of `size` places the first pixel that counts, and what each counts from there on.
// `length` is the whole side, of which the central `part` is reduced.
export function weigh(length, part, size) {
  const scale = part / size
  const reach = Math.max(1, scale)
  return Array.from({ length: size }, (_, place) => {
    const center = (length - part) / 2 + (place + 0.5) * scale
    const first = Math.max(0, Math.trunc(center - reach + 0.5))
    const end = Math.min(length, Math.trunc(center + reach + 0.5))
    const shares = Array.from({ length: end - first }, (_, i) =>
      Math.max(0, 1 - Math.abs((i + first - center + 0.5) / reach)),
    )
    const sum = shares.reduce((a, b) => a + b, 0)
    return { first, weights: shares.map((share) => Math.trunc(0.5 + (share / sum) * 2 ** BITS)) }
  })
}

// The first pixel that counts along a side, and the one behind the last.
export function span(places) {
  return [places[0].first, places.at(-1).first + places.at(-1).weights.length]
}

// The mean of each block of `factor` x `factor` pixels, of red, green, blue and opacity; without the opacity. At the
// edge a block may be smaller.
export function reduce({ data, width, height }, factor) {
  const made = empty(Math.ceil(width / factor), Math.ceil(height / factor))
  for (let y = 0; y < made.height; y++) {
    const bottom = Math.min(height, (y + 1) * factor)
    for (let x = 0; x < made.width; x++) {
      const right = Math.min(width, (x + 1) * factor)
      const n = (bottom - y * factor) * (right - x * factor)
      for (let channel = 0; channel < CHANNELS; channel++) {
        let sum = n >> 1
        for (let row = y * factor; row < bottom; row++) {
          for (let column = x * factor; column < right; column++) sum += data[(row * width + column) * 4 + channel]
        }
        made.pixels[(y * made.width + x) * CHANNELS + channel] = Math.trunc(sum / n)
      }
    }
  }
  return made
}

// Whether Pillow (since 13.0) reduces the height of a picture before its width; each step rounds to whole numbers.
export function isTall(width, height, size) {
  return height - size > 2 * Math.max(0, width - size)
}

// The picture at these columns and rows; its pixels begin with the first that counts.
export function resize(image, columns, rows, tall) {
  return tall ? across(down(image, rows), columns) : down(across(image, columns), rows)
}

function across({ pixels, width, height }, places) {
  const made = empty(places.length, height)
  const left = places[0].first
  for (let y = 0; y < height; y++) {
    places.forEach(({ first, weights }, x) => {
      const to = (y * made.width + x) * CHANNELS
      mix(pixels, (y * width + first - left) * CHANNELS, CHANNELS, weights, made.pixels, to)
    })
  }
  return made
}

function down({ pixels, width }, places) {
  const made = empty(width, places.length)
  const [top, line] = [places[0].first, width * CHANNELS]
  places.forEach(({ first, weights }, y) => {
    for (let x = 0; x < line; x += CHANNELS)
      mix(pixels, (first - top) * line + x, line, weights, made.pixels, y * line + x)
  })
  return made
}

function empty(width, height) {
  return { pixels: new Uint8ClampedArray(width * height * CHANNELS), width, height }
}

function mix(source, from, stride, weights, target, to) {
  for (let channel = 0; channel < CHANNELS; channel++) {
    let sum = 1 << (BITS - 1)
    for (let i = 0; i < weights.length; i++) sum += source[from + i * stride + channel] * weights[i]
    target[to + channel] = sum >> BITS
  }
}
