import assert from "node:assert/strict"
import { test } from "node:test"
import { told, wordsOf } from "../../../../core/demos/page/words.js"

const texts = {
  demo_sure: "{p} sure",
  demo_unsure: "Not sure: only {p}",
  demo_unknown: "None of these",
  demo_unknown_more: "Nearest: {label}",
  demo_none: "Not sure enough",
  demo_none_more: "Most like {label}: {p}, but {least} is needed.",
  more_than: "more than {share}",
  less_than: "less than {share}",
}
const front = { texts, sure: 0.6, shown: 2, decimal: "," }
const words = wordsOf(front)
const answer = (p, verdict, least = 0) => ({
  scores: [
    ["a", p],
    ["b", 0.2],
    ["c", 0.1],
  ],
  verdict,
  least,
})

test("a model is never certain", () => {
  const said = [1, 0.995, 0.994, 0.5, 0.006, 0.004, 0].map(words.certainty)
  const wanted = ["more than 99 %", "more than 99 %", "99 %", "50 %", "1 %", "less than 1 %", "0 %"]
  assert.deepEqual(
    said,
    wanted.map((text) => text.replace(" %", "\u00a0%")),
  )
})

test("an answer is said as in the app", () => {
  assert.deepEqual(told(answer(0.7, "answer"), front, words), {
    heading: "a",
    more: "70\u00a0% sure",
    bars: [
      ["a", 0.7],
      ["b", 0.2],
    ],
  })
  assert.equal(told(answer(0.59, "answer"), front, words).more, "Not sure: only 59\u00a0%")
})

test("what is below the threshold is not sure enough, and says what is needed", () => {
  const { heading, more, bars } = told(answer(0.7, "unsure", 0.8), front, words)
  assert.equal(heading, "Not sure enough")
  assert.equal(more, "Most like a: 70\u00a0%, but 80\u00a0% is needed.")
  assert.equal(bars.length, 2)
})

test("what is none of the classes gets no bar", () => {
  const said = told(answer(0.99, "unknown"), front, words)
  assert.deepEqual(said, { heading: "None of these", more: "Nearest: a", bars: [] })
})

test("numbers have the mark of the language", () => {
  assert.equal(words.decimal(12.34), "12,3")
})
