// Draws an answer: what the model says in words, a bar for each of the most probable classes, and how long it took.
import { at, element } from "./elements.js"
import { told } from "./words.js"

export function drawAnswer(answer, front, words, note) {
  const { heading, more, bars } = told(answer, front, words)
  at("answer").replaceChildren(
    element("h2", { textContent: heading }),
    element("p", { className: "more-words", textContent: more }),
    element("ul", { className: "bars" }, ...bars.map((each) => bar(each, words))),
    element("p", { className: "quiet", textContent: note }),
  )
}

export function drawWaiting(words) {
  at("answer").replaceChildren(element("p", { className: "quiet", textContent: words.fill("asking") }))
}

function bar([label, p], words) {
  const line = element("div", { className: "bar" })
  line.style.setProperty("--p", Math.min(1, p))
  const name = element("span", { className: "name", textContent: label })
  return element("li", {}, name, element("span", { textContent: words.certainty(p) }), line)
}

// The text for those who do not see the picture.
export function alternative(name, answer, words) {
  const [label, p] = answer.scores[0]
  if (answer.verdict !== "answer") return words.fill("demo_alt_none", { name })
  return words.fill("demo_alt", { name, label, p: words.certainty(p) })
}
