// What the colors of a map mean. Classes are buttons: one sees those that are pressed, the others fade.
import { element } from "../elements.js"
import { fill } from "../words.js"
import { css } from "./colors.js"

export function legend(map, redraw) {
  return { class: byClass, part: byPart, outcome: byOutcome, confidence: byConfidence }[map.look.by](map, redraw)
}

function byClass({ data, points, sizes, look, theme, words }, redraw) {
  const chips = [...sizes.keys()]
    .filter((k) => sizes[k])
    .map((k) => {
      const chip = entry("button", dot(look.coloring.color(k, theme)), `${data.classes[k]} (${sizes[k]})`)
      chip.type = "button"
      chip.setAttribute("aria-pressed", look.coloring.isPicked(k))
      chip.onclick = () => {
        look.coloring.toggle(k)
        redraw()
      }
      return chip
    })
  return nWrong(points) ? [...chips, wrong(points, theme.ink, words)] : chips
}

function byPart({ data, points, theme }) {
  const sizes = data.parts.map((_, k) => points.count((i) => points.part[i] === k))
  const entries = data.parts.map((name, k) => entry("span", dot(theme.palette[k]), `${name} (${sizes[k]})`))
  return entries.filter((_, k) => sizes[k])
}

function byOutcome({ points, theme, words }) {
  const right = points.count((i) => points.isTested(i) && !points.isWrong(i))
  const first = entry("span", dot(theme.palette[0]), fill(words.right, { n: right }))
  return [first, wrong(points, theme.palette[1], words), learned(points, theme, words)]
}

function byConfidence({ points, theme, words }) {
  const scale = element("span", { className: "scale" })
  scale.style.background = `linear-gradient(90deg, ${theme.ramp.map(css).join(", ")})`
  return [entry("span", scale, words.scale), wrong(points, theme.ink, words), learned(points, theme, words)]
}

const nWrong = (points) => points.count((i) => points.isWrong(i))

function wrong(points, color, words) {
  const cross = element("span", { className: "cross", textContent: "\u00d7" })
  cross.style.color = css(color)
  return entry("span", cross, fill(words.wrong, { n: nWrong(points) }))
}

function learned(points, { gray }, words) {
  return entry("span", dot(gray), fill(words.learned, { n: points.count((i) => !points.isTested(i)) }))
}

function dot(color) {
  const made = element("span", { className: "dot" })
  made.style.background = css(color)
  return made
}

function entry(tag, sign, text) {
  return element(tag, {}, sign, element("span", { className: "name", textContent: text, title: text }))
}
