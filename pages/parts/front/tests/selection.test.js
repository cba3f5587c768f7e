import assert from "node:assert/strict"
import { test } from "node:test"
import { Selection } from "../scripts/sorter/selection.js"

const opened = (ids = ["a", "b", "c", "d"]) => {
  const selection = new Selection()
  selection.open("first", ids, false)
  return selection
}

test("a picture is selected and taken out again", () => {
  const selection = opened()
  selection.toggle(1, false)
  assert.deepEqual(selection.request, { ids: ["b"], every: false })
  selection.toggle(1, false)
  assert.equal(selection.request, null)
})

test("a range goes from the last picture that was touched, in both directions", () => {
  const selection = opened()
  selection.toggle(2, false)
  selection.toggle(0, true)
  assert.deepEqual(selection.request.ids.sort(), ["a", "b", "c"])
  selection.toggle(3, true)
  assert.equal(selection.isWholePage, true)
})

test("when all of the listing are selected, the server is told so, and a click leaves those of this page", () => {
  const selection = opened()
  selection.selectEvery()
  assert.deepEqual(selection.request, { ids: [], every: true })
  assert.equal(selection.count(500), 500)
  selection.toggle(0, false)
  assert.deepEqual(selection.request, { ids: ["b", "c", "d"], every: false })
})

test("the same listing keeps what is selected, and another one begins anew", () => {
  const selection = opened()
  selection.toggle(2, false)
  assert.equal(selection.open("first", ["a", "b", "c", "d"], false), false)
  assert.equal(selection.has(2), true)
  assert.equal(selection.open("second", ["e", "f"], false), true)
  assert.deepEqual([selection.request, selection.at], [null, 0])
})

test("after an action the keys go on where they were, within what is left", () => {
  const selection = opened()
  selection.toggle(3, false)
  selection.open("second", ["a", "b"], true)
  assert.equal(selection.at, 1)
  selection.open("third", [], true)
  assert.equal(selection.at, 0)
})

test("the keys do not leave the listing", () => {
  const selection = opened()
  assert.equal(selection.moveTo(-1), false)
  assert.equal(selection.moveTo(4), false)
  assert.equal(selection.at, 0)
  assert.equal(selection.moveTo(3), true)
})
