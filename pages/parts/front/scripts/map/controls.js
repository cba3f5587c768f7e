// The switches and buttons around a map.
import { element } from "../elements.js"
import { choose, chooseVisible } from "./choosing.js"
import { lay, recolor, showWhole, zoomMiddle } from "./drawing.js"
import { legend } from "./legend.js"

const COLORS = ["class", "part", "outcome", "confidence"]
const TOOLS = ["lasso", "move"]

// Draws what depends on what is set, and the points with it.
export function drawSettings(map) {
  const { find, look, words, over, layouts } = map
  drawSwitch(map, ".colors", COLORS, look.by, (by) => {
    look.by = by
  })
  drawSwitch(map, ".layouts", layouts, look.layout, (layout) => {
    showWhole(map)
    lay(map, layout)
  })
  drawSwitch(map, ".tools", TOOLS, look.tool, (tool) => {
    look.tool = tool
  })
  find(".layouts").hidden = layouts.length < 2
  over.classList.toggle("move", look.tool === "move")
  find(".legend").replaceChildren(...legend(map, () => drawSettings(map)))
  find(".legend").setAttribute("aria-label", words.legend)
  recolor(map)
}

function drawSwitch(map, selector, options, current, set) {
  const { words } = map
  const group = map.find(selector)
  group.setAttribute("aria-label", words[selector.slice(1)])
  const buttons = options.map((key) => {
    const made = button(words[key], () => {
      set(key)
      drawSettings(map)
    })
    made.title = words[`${key}_title`] ?? ""
    made.setAttribute("aria-pressed", key === current)
    return made
  })
  group.replaceChildren(...buttons)
}

export function drawButtons(map) {
  const { find, words, look, over } = map
  const zooms = [
    button("+", () => zoomMiddle(map, 1.5), words.closer),
    button("\u2212", () => zoomMiddle(map, 1 / 1.5), words.farther),
    button(words.whole, () => showWhole(map), words.whole),
  ]
  find(".zooms").replaceChildren(...zooms)
  Object.assign(find(".view"), { textContent: words.view, onclick: () => chooseVisible(map) })
  const none = { textContent: words.none, onclick: () => choose(map, []), hidden: !look.chosen.size }
  Object.assign(find(".none"), none)
  over.setAttribute("role", "application")
  over.setAttribute("aria-label", words.keys)
}

function button(text, action, name = "") {
  const made = element("button", { type: "button", textContent: text, onclick: action })
  if (name) made.setAttribute("aria-label", name)
  return made
}
