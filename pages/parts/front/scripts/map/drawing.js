// Draws a map when the browser next paints, and moves the points to another layout.
import { plain } from "./canvas.js"
import { dress } from "./colors.js"
import { between, moved, onScreen, project, WHOLE, zoomed } from "./view.js"
import { webgl } from "./webgl.js"

const MORPH_MS = 500

export function projection({ frame, look, points }) {
  return project(look.view, frame.clientWidth, frame.clientHeight, points.size)
}

// Answers a function from the number of a point to its place on the screen.
export function placing(map) {
  const at = projection(map)
  return (i) => onScreen(map.state.current, at, i)
}

export function paint({ state }) {
  state.asked ||= requestAnimationFrame(() => {
    state.asked = 0
    draw(state.map) // the one drawn last, as the page may have drawn it anew since
  })
}

// Gives the points the colors of what is chosen now.
export function recolor(map) {
  const { look, points, theme } = map
  map.scene = { ink: theme.ink, ...dress(points, { ...look, theme }) }
  map.state.fresh.looks = true
  paint(map)
}

function draw(map) {
  const { state, look, scene } = map
  const at = { ...projection(map), ratio: devicePixelRatio || 1 }
  if (!at.w) return
  const canvas = map.find(".points")
  const [width, height] = [at.w, at.h].map((side) => Math.round(side * at.ratio))
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
  state.pen ??= penOf(map, canvas)
  state.pen({ ...scene, places: state.current }, at, state.fresh)
  state.fresh = { places: false, looks: false }
  map.over.firstElementChild.setAttribute("points", state.line.map((point) => point.join()).join(" "))
  map.frame.dataset.drawn = `${look.layout} ${scene.order.length}`
}

function penOf(map, canvas) {
  const pen = webgl(canvas)
  canvas.dataset.by = pen ? "webgl" : "canvas"
  if (!pen) {
    // A canvas that was asked for WebGL may not draw otherwise.
    const other = canvas.cloneNode()
    canvas.replaceWith(other)
    return plain(other)
  }
  canvas.onwebglcontextlost = () => {
    canvas.replaceWith(canvas.cloneNode())
    Object.assign(map.state, { pen: null, fresh: { places: true, looks: true } })
    paint(map)
  }
  return pen
}

export function lay(map, layout) {
  const { state, look } = map
  const from = state.current
  const to = state.places[layout]
  look.layout = layout
  const still = from?.length !== to.length || matchMedia("(prefers-reduced-motion: reduce)").matches
  const began = performance.now()
  cancelAnimationFrame(state.moving)
  const step = (now) => {
    const t = still ? 1 : Math.min(1, Math.max(0, now - began) / MORPH_MS)
    state.current = between(from, to, t)
    state.fresh.places = true
    paint(map)
    if (t < 1) state.moving = requestAnimationFrame(step)
  }
  step(began)
}

function see(map, view) {
  map.look.view = view
  paint(map)
}

export const showWhole = (map) => see(map, WHOLE)
export const move = (map, dx, dy) => see(map, moved(map.look.view, projection(map), dx, dy))
export const zoom = (map, factor, x, y) => see(map, zoomed(map.look.view, projection(map), factor, x, y))

export function zoomMiddle(map, factor) {
  const { w, h } = projection(map)
  zoom(map, factor, w / 2, h / 2)
}
