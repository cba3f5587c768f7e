import assert from "node:assert/strict"
import { test } from "node:test"
import { between, isInside, moved, nearest, onScreen, project, WHOLE, zoomed } from "../scripts/map/view.js"

const place = (view, x, y) => onScreen([x, y], project(view, 600, 400, 100), 0)
const close = (actual, expected) =>
  actual.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]) < 1e-6, `${actual} is not ${expected}`)
  })

test("the whole map fills the shorter side of the frame but for the padding", () => {
  close(place(WHOLE, 0.5, 0.5), [300, 200])
  close(place(WHOLE, 0, 0), [300 - 178, 22])
  close(place(WHOLE, 1, 1), [300 + 178, 378])
})

test("zooming leaves the place below the pointer where it is and moves the others away from it", () => {
  const [x, y] = place(WHOLE, 0.25, 0.75)
  const view = zoomed(WHOLE, project(WHOLE, 600, 400, 100), 3, x, y)
  close(place(view, 0.25, 0.75), [x, y])
  const [other] = place(WHOLE, 0.5, 0.75)
  close([place(view, 0.5, 0.75)[0] - x], [3 * (other - x)])
})

test("zooming ends at a largest and a smallest zoom", () => {
  const at = project(WHOLE, 600, 400, 100)
  assert.equal(zoomed(WHOLE, at, 1e6, 0, 0).zoom, 200)
  assert.equal(zoomed(WHOLE, at, 1e-6, 0, 0).zoom, 0.8)
})

test("moving follows the pointer until the map is nearly out of the frame", () => {
  const at = project(WHOLE, 600, 400, 100)
  close(place(moved(WHOLE, at, 30, -20), 0.5, 0.5), [330, 180])
  assert.deepEqual(moved(WHOLE, at, 1e6, -1e6), { x: -0.2, y: 1.2, zoom: 1 })
})

const notched = [
  [0, 0],
  [10, 0],
  [10, 10],
  [5, 2],
  [0, 10],
]
for (const [at, inside] of [
  [[1, 1], true],
  [[9, 5], true],
  [[5, 5], false], // in the notch
  [[5, 1], true],
  [[-1, 5], false],
  [[11, 5], false],
  [[5, -1], false],
]) {
  test(`the point ${at} is ${inside ? "inside" : "outside"} a line with a notch`, () => {
    assert.equal(isInside(at, notched), inside)
    assert.equal(isInside(at, [...notched].reverse()), inside)
  })
}

test("a line that crosses itself counts as inside what it goes around once", () => {
  const bow = [
    [0, 0],
    [10, 10],
    [10, 0],
    [0, 10],
  ]
  assert.equal(isInside([1, 5], bow), true)
  assert.equal(isInside([9, 5], bow), true)
  assert.equal(isInside([5, 1], bow), false)
})

test("no point is inside a line without points", () => {
  assert.equal(isInside([0, 0], []), false)
})

test("the nearest points come first and none beyond the reach", () => {
  const at = { 3: [0, 9], 5: [0, 1], 8: [0, 4], 9: [0, 50] }
  assert.deepEqual(
    nearest([3, 5, 8, 9], (i) => at[i], [0, 0], 2),
    [5, 8],
  )
  assert.deepEqual(
    nearest([3, 5, 8, 9], (i) => at[i], [0, 0], 9, 9),
    [5, 8, 3],
  )
  assert.deepEqual(
    nearest([9], (i) => at[i], [0, 0], 1, 49),
    [],
  )
})

test("points move from one layout to another and arrive exactly", () => {
  const [from, to] = [Float32Array.of(0, 1), Float32Array.of(1, 1)]
  assert.deepEqual(between(from, to, 0), from)
  close([...between(from, to, 0.5)], [0.5, 1])
  assert.ok(between(from, to, 0.1)[0] < 0.1)
  assert.equal(between(from, to, 1), to)
})
