// The picture below the pointer, with what is known of it.
import { fill } from "../words.js"
import { near } from "./choosing.js"
import { placing, projection } from "./drawing.js"

const [WIDTH_PX, GAP_PX, ABOVE_PX, EDGE_PX] = [150, 12, 60, 2]

export function hideTip({ tip, state }) {
  tip.hidden = true
  state.hovered = -1
}

export function showTip(map, at, reach) {
  const { tip, state } = map
  const [i] = near(map, at, 1, reach)
  if (i === undefined) return hideTip(map)
  if (state.hovered !== i) describe(map, i)
  state.hovered = i
  const { w, h } = projection(map)
  const [x, y] = placing(map)(i)
  tip.hidden = false
  tip.style.left = `${x + WIDTH_PX > w ? Math.max(0, x + GAP_PX / 2 - WIDTH_PX) : x + GAP_PX}px`
  tip.style.top = `${Math.max(EDGE_PX, Math.min(h - tip.offsetHeight - EDGE_PX, y - ABOVE_PX))}px`
}

function describe({ tip, data, words, points }, i) {
  const name = (k) => data.classes[k]
  tip.querySelector("img").src = `/api/thumbnail/${points.id(i)}`
  tip.querySelector(".first").textContent = `${name(points.label[i])} \u00b7 ${data.parts[points.part[i]]}`
  const said = points.isTested(i) && fill(words.says, { what: name(points.predicted[i]), sure: points.sure[i] })
  tip.querySelector(".second").textContent = said || ""
}
