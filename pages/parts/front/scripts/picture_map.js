// The map of a run's pictures. Colors, layouts, zoom and what is chosen change here without a rerun of the page; only a
// choice of pictures goes to the server.
import { Coloring, rgb, rgbs } from "./map/colors.js"
import { drawButtons, drawSettings } from "./map/controls.js"
import { lay, paint } from "./map/drawing.js"
import { listen } from "./map/pointers.js"
import { Points, unpackPlaces } from "./map/points.js"
import { WHOLE } from "./map/view.js"

const states = new WeakMap() // by element: what is drawn on it
const looks = new Map() // by run: what is set and chosen, as the page may make the element anew

export default function draw({ data, parentElement, setTriggerValue }) {
  const map = open(data, parentElement)
  map.send = (chosen) => setTriggerValue("chosen", chosen)
  const { state, look } = map
  drawButtons(map)
  listen(map)
  state.watch ??= new ResizeObserver(() => paint(map))
  state.watch.observe(map.frame)
  if (state.current !== state.places[look.layout]) lay(map, look.layout)
  drawSettings(map)
}

function open(data, parentElement) {
  const find = (name) => parentElement.querySelector(name)
  const state = stateOf(parentElement, data)
  const { points } = state
  const sizes = points.classSizes(data.classes.length)
  const layouts = Object.keys(data.layouts)
  const look = lookOf(data, sizes)
  if (!layouts.includes(look.layout)) look.layout = layouts.at(-1)
  look.chosen = new Set([...look.chosen].filter((i) => points.isShown(i)))
  const [frame, over, tip] = [".frame", ".over", ".tip"].map(find)
  const shown = points.where(() => true)
  const parts = { frame, over, tip, theme: themeOf(frame, data.dark) }
  state.map = { data, words: data.words, find, state, look, points, sizes, shown, layouts, ...parts }
  return state.map
}

function stateOf(element, { packed, layouts }) {
  const begin = () => ({ fingers: new Map(), line: [], fresh: { places: true, looks: true }, hovered: -1 })
  const state = states.get(element) ?? begin()
  states.set(element, state)
  if (state.packed !== packed) Object.assign(state, { packed, points: new Points(packed), places: {} })
  for (const [name, text] of Object.entries(layouts)) state.places[name] ??= unpackPlaces(text)
  return state
}

function lookOf({ run, classes, colors }, sizes) {
  const tool = matchMedia("(pointer: coarse)").matches ? "move" : "lasso"
  const look = looks.get(run) ?? { view: WHOLE, tool, by: "class", layout: "", chosen: new Set() }
  looks.set(run, look)
  const names = classes.join("\n")
  if (look.names !== names) Object.assign(look, { names, coloring: new Coloring(sizes) })
  look.coloring.own = colors
  return look
}

function themeOf(frame, dark) {
  const style = getComputedStyle(frame)
  const read = (name) => style.getPropertyValue(`--st-${name}`)
  return {
    palette: rgbs(read("chart-categorical-colors")),
    ramp: rgbs(read("chart-sequential-colors")).slice(2), // the first are too near to the ground
    ink: rgb(read("text-color")),
    gray: dark ? [125, 121, 114] : [150, 146, 138],
  }
}
