import assert from "node:assert/strict"
import { test } from "node:test"
import { NONE, Points, unpackPlaces } from "../scripts/map/points.js"

const text = (values) => Buffer.from(values.buffer).toString("base64")
const ids = new Uint8Array(5 * 32).map((_, i) => Math.floor(i / 32) + 10)
// Five points: right, wrong, not tested, left out, wrong of a rare class.
const points = new Points({
  ids: text(ids),
  label: text(Uint16Array.of(0, 0, 0, NONE, 1)),
  predicted: text(Uint16Array.of(0, 1, NONE, 0, 0)),
  part: text(Uint8Array.of(2, 2, 0, 2, 1)),
  sure: text(Uint8Array.of(99, 60, 0, 70, 80)),
})

test("a point without a label is not shown and counts for nothing", () => {
  assert.deepEqual(
    points.where(() => true),
    [0, 1, 2, 4],
  )
  assert.deepEqual([...points.classSizes(2)], [3, 1])
})

test("only a tested point can be wrong", () => {
  assert.deepEqual(
    points.where((i) => points.isWrong(i)),
    [1, 4],
  )
  assert.equal(
    points.count((i) => points.isTested(i)),
    3,
  )
})

test("a picture's id is read as the hash that the server knows it by", () => {
  assert.equal(points.id(1), "0b".repeat(32))
})

test("the rarest class of a region comes first, and wrong predictions before right ones", () => {
  assert.deepEqual(points.rarestFirst([0, 1, 2, 4]), [4, 1, 0, 2])
})

test("places are numbers from 0 to 1", () => {
  assert.deepEqual([...unpackPlaces(text(Uint16Array.of(0, 65535)))], [0, 1])
})
