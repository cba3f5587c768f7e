// The color and the shape of each point, and which classes have a color.
export const CROSS = 1
export const CHOSEN = 2 // added to the shape: 0 for a disc, 1 for a cross
const FADED = 76
const FULL = 235
const MOST = 10 // classes with a color at once, when there are more

export function rgb(text) {
  const color = text.trim()
  if (!color.startsWith("#")) return color.match(/\d+/g).map(Number).slice(0, 3)
  return [1, 3, 5].map((i) => Number.parseInt(color.slice(i, i + 2), 16))
}

// A list as in CSS, where a comma within brackets separates nothing.
export const rgbs = (text) => text.split(/,(?![^(]*\))/).map(rgb)
export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`

// Of many classes a few have a color, each in a slot of its own, so that none changes color with another. Of few, each
// has its own color, and the picked ones are those that are not faded; with none picked, none is faded.
export class Coloring {
  // `own`: the color that was chosen for each class, a position in the palette; -1 for none.
  constructor(sizes, own = []) {
    this.own = own
    const largest = [...sizes.keys()].filter((k) => sizes[k]).sort((a, b) => sizes[b] - sizes[a])
    this.many = sizes.length > MOST
    this.picked = this.many ? largest.slice(0, MOST) : []
  }

  toggle(k) {
    const own = this.picked.indexOf(k)
    if (!this.many) this.picked = own < 0 ? [...this.picked, k] : this.picked.filter((other) => other !== k)
    else if (own >= 0) this.picked[own] = -1
    else this._place(k)
  }

  _place(k) {
    const free = this.picked.indexOf(-1)
    this.picked[free < 0 ? MOST - 1 : free] = k
  }

  isPicked(k) {
    return this.picked.includes(k) || (!this.many && !this.picked.length)
  }

  color(k, { palette, gray }) {
    const slot = this.many ? this.picked.indexOf(k) : this._free(k, palette.length)
    if (slot < 0) return gray
    return palette[(this._chosen(k) ?? slot) % palette.length]
  }

  _chosen(k) {
    return this.own[k] >= 0 ? this.own[k] : undefined
  }

  // Of few classes, those without a color of their own get the others in turn.
  _free(k, length) {
    const slots = [...Array(length).keys()].filter((slot) => !this.own.includes(slot))
    const before = [...Array(k).keys()].filter((other) => this._chosen(other) === undefined).length
    return slots.length ? slots[before % slots.length] : k
  }
}

export function colorOf(by, points, coloring, theme) {
  const { palette, ramp, gray } = theme
  const step = (i) => Math.min(ramp.length - 1, Math.floor((points.sure[i] / 100) * ramp.length))
  return {
    class: (i) => coloring.color(points.label[i], theme),
    part: (i) => palette[points.part[i]],
    outcome: (i) => (points.isTested(i) ? palette[points.isWrong(i) ? 1 : 0] : gray),
    confidence: (i) => (points.isTested(i) ? ramp[step(i)] : gray),
  }[by]
}

function isFaded(by, points, coloring, i) {
  if (by === "class") return !coloring.isPicked(points.label[i])
  return by !== "part" && !points.isTested(i)
}

// Colors (four bytes each), shapes, and the order of drawing: the important points last, above the others.
export function dress(points, { by, coloring, chosen, theme }) {
  const colors = new Uint8Array(4 * points.size)
  const looks = new Uint8Array(points.size)
  const [low, high, top] = [[], [], []]
  const color = colorOf(by, points, coloring, theme)
  for (const i of points.where(() => true)) {
    const faded = isFaded(by, points, coloring, i)
    const crossed = points.isWrong(i) && by !== "part"
    const marked = chosen.has(i)
    colors.set([...color(i), faded && !marked ? FADED : FULL], 4 * i)
    looks[i] = (crossed ? CROSS : 0) + (marked ? CHOSEN : 0)
    const layer = crossed && !faded ? high : low
    ;(marked ? top : layer).push(i)
  }
  return { colors, looks, order: Uint32Array.from(low.concat(high, top)) }
}
