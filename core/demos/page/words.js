// The words of the page: texts that are filled with values, and numbers as people read them.

const SURE = 0.995 // rounds to 100

export function wordsOf(front) {
  const texts = front.texts
  const fill = (name, values = {}) => texts[name].replace(/\{(\w+)[^}]*\}/g, (_, key) => values[key])
  const percent = (share) => `${Math.round(share * 100)}\u00a0%`

  // A probability of a model, which is never certain: 0.997 is "more than 99 %".
  function certainty(share) {
    if (share >= SURE) return fill("more_than", { share: percent(0.99) })
    return share > 0 && share < 1 - SURE ? fill("less_than", { share: percent(0.01) }) : percent(share)
  }

  const decimal = (value) => value.toFixed(1).replace(".", front.decimal)
  return { fill, percent, certainty, decimal }
}

// What an answer says: a heading, a sentence below it, and the classes that get a bar. What was refused gets none.
export function told(answer, front, words) {
  const [label, p] = answer.scores[0]
  const sure = words.certainty(p)
  const bars = answer.verdict === "unknown" ? [] : answer.scores.slice(0, front.shown)
  if (answer.verdict === "unknown") {
    return { heading: words.fill("demo_unknown"), more: words.fill("demo_unknown_more", { label }), bars }
  }
  if (answer.verdict === "unsure") {
    const more = words.fill("demo_none_more", { label, p: sure, least: words.percent(answer.least) })
    return { heading: words.fill("demo_none"), more, bars }
  }
  return { heading: label, more: words.fill(p >= front.sure ? "demo_sure" : "demo_unsure", { p: sure }), bars }
}
