import assert from "node:assert/strict"
import { test } from "node:test"
import { CHOSEN, Coloring, CROSS, dress, rgb, rgbs } from "../scripts/map/colors.js"
import { NONE, Points } from "../scripts/map/points.js"

const [RED, GREEN, BLUE, GRAY] = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [9, 9, 9],
]
const theme = { palette: [RED, GREEN, BLUE], ramp: [BLUE, RED], gray: GRAY }
const text = (values) => Buffer.from(values.buffer).toString("base64")
// Four points: right, wrong, not tested, left out.
const points = new Points({
  ids: "",
  label: text(Uint16Array.of(0, 1, 1, NONE)),
  predicted: text(Uint16Array.of(0, 0, NONE, 0)),
  part: text(Uint8Array.of(2, 1, 0, 2)),
  sure: text(Uint8Array.of(90, 40, 0, 70)),
})
const dressed = (by, coloring = new Coloring([1, 2]), chosen = new Set()) => {
  const { colors, looks, order } = dress(points, { by, coloring, chosen, theme })
  const color = (i) => [...colors.subarray(4 * i, 4 * i + 3)]
  return { color, isFaded: (i) => colors[4 * i + 3] < 100, looks: [...looks], order: [...order] }
}

test("colors are read as CSS writes them", () => {
  assert.deepEqual(rgb(" #ff0080"), [255, 0, 128])
  assert.deepEqual(rgb("rgb(1, 2, 3)"), [1, 2, 3])
  assert.deepEqual(rgbs("#010203, rgb(4, 5, 6),#070809"), [rgb("#010203"), [4, 5, 6], [7, 8, 9]])
})

test("by class each point has the color of its class, and none is faded until one is picked", () => {
  const coloring = new Coloring([1, 2])
  assert.deepEqual([0, 1, 2].map(dressed("class", coloring).color), [RED, GREEN, GREEN])
  assert.deepEqual([0, 1, 2].map(dressed("class", coloring).isFaded), [false, false, false])
  coloring.toggle(1)
  assert.deepEqual([0, 1, 2].map(dressed("class", coloring).isFaded), [true, false, false])
  coloring.toggle(1)
  assert.deepEqual([0, 1, 2].map(dressed("class", coloring).isFaded), [false, false, false])
})

test("a class has the color that was chosen for it, and the others share what is left", () => {
  const of = (coloring, n) => [...Array(n).keys()].map((k) => coloring.color(k, theme))
  assert.deepEqual(of(new Coloring([1, 1, 1], [-1, 0, -1]), 3), [GREEN, RED, BLUE])
  assert.deepEqual(of(new Coloring([1, 1, 1], [0, 1, 2]), 3), [RED, GREEN, BLUE])
  const many = new Coloring(Array(11).fill(1), [2])
  assert.deepEqual([many.color(0, theme), many.color(1, theme), many.color(10, theme)], [BLUE, GREEN, GRAY])
})

test("by outcome wrong predictions have a color of their own and what is not tested is gray", () => {
  const { color, isFaded } = dressed("outcome")
  assert.deepEqual([0, 1, 2].map(color), [RED, GREEN, GRAY])
  assert.deepEqual([0, 1, 2].map(isFaded), [false, false, true])
})

test("by confidence the surest have the last color", () => {
  assert.deepEqual([0, 1, 2].map(dressed("confidence").color), [RED, BLUE, GRAY])
})

test("by part nothing is faded or crossed", () => {
  const { color, isFaded, looks } = dressed("part")
  assert.deepEqual([0, 1, 2].map(color), [BLUE, GREEN, RED])
  assert.deepEqual([0, 1, 2].map(isFaded), [false, false, false])
  assert.deepEqual(looks, [0, 0, 0, 0])
})

test("wrong predictions are drawn above others, chosen points above all, and what was left out not at all", () => {
  assert.deepEqual(dressed("class").order, [0, 2, 1])
  const chosen = dressed("class", new Coloring([1, 2]), new Set([0]))
  assert.deepEqual(chosen.order, [2, 1, 0])
  assert.deepEqual(chosen.looks, [CHOSEN, CROSS, 0, 0])
})

test("of many classes the ten largest have a color, and none changes it when another is picked", () => {
  const coloring = new Coloring(Uint32Array.from({ length: 12 }, (_, k) => k))
  const ten = { palette: Array.from({ length: 10 }, (_, k) => [k, k, k]), gray: GRAY }
  assert.deepEqual(coloring.color(11, ten), [0, 0, 0])
  assert.deepEqual(coloring.color(1, ten), GRAY)
  const before = coloring.color(9, ten)
  coloring.toggle(10)
  coloring.toggle(1)
  assert.deepEqual(coloring.color(1, ten), [1, 1, 1]) // in the slot that became free
  assert.deepEqual(coloring.color(10, ten), GRAY)
  assert.deepEqual(coloring.color(9, ten), before)
  coloring.toggle(10) // with no free slot, the last one is given away
  assert.deepEqual(coloring.color(10, ten), [9, 9, 9])
  assert.deepEqual(coloring.color(2, ten), GRAY)
})
