// Pointers, wheel and keys on a map: one pointer draws a line or moves, two zoom.
import { choose, chooseNeighbors, chooseRegion, chooseVisible } from "./choosing.js"
import { move, paint, showWhole, zoom, zoomMiddle } from "./drawing.js"
import { hideTip, showTip } from "./tip.js"

export const REACH_PX = 14
const STILL_PX = 4 // a pointer that moved less has not moved
const STEP_PX = 60
const CLOSER = 1.5

export function listen(map) {
  const { over } = map
  over.onpointerdown = (event) => press(map, event)
  over.onpointermove = (event) => follow(map, event)
  over.onpointerup = (event) => release(map, event)
  over.onpointercancel = (event) => cancel(map, event)
  over.onpointerleave = () => hideTip(map)
  over.oncontextmenu = (event) => event.preventDefault()
  over.onwheel = (event) => {
    event.preventDefault()
    map.tip.hidden = true
    zoom(map, Math.exp(-event.deltaY / (event.deltaMode ? 20 : 400)), ...local(map, event))
  }
  over.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return // the browser's: its zoom, its way back
    const action = keys(map)[event.key]
    if (!action) return
    action()
    event.preventDefault()
    event.stopPropagation()
  }
}

const keys = (map) => ({
  ArrowLeft: () => move(map, STEP_PX, 0),
  ArrowRight: () => move(map, -STEP_PX, 0),
  ArrowUp: () => move(map, 0, STEP_PX),
  ArrowDown: () => move(map, 0, -STEP_PX),
  "+": () => zoomMiddle(map, CLOSER),
  "=": () => zoomMiddle(map, CLOSER),
  "-": () => zoomMiddle(map, 1 / CLOSER),
  0: () => showWhole(map),
  Enter: () => chooseVisible(map),
  Escape: () => choose(map, []),
})

function local({ over }, event) {
  const box = over.getBoundingClientRect()
  return [event.clientX - box.left, event.clientY - box.top]
}

function press(map, event) {
  const { over, state } = map
  over.setPointerCapture(event.pointerId)
  state.fingers.set(event.pointerId, local(map, event))
  state.still = state.fingers.size === 1
  state.line = state.still ? [local(map, event)] : []
  state.pinched ||= !state.still // until all fingers are up nothing is drawn or chosen
  map.tip.hidden = true
}

function follow(map, event) {
  const { state } = map
  const at = local(map, event)
  const before = state.fingers.get(event.pointerId)
  if (!before) {
    if (event.pointerType !== "touch") showTip(map, at, REACH_PX)
    return
  }
  if (state.fingers.size === 2) pinch(map, event.pointerId, before, at)
  else if (state.pinched || !isDrag(state, at)) {
    if (!state.pinched) return
  } else drag(map, event, before, at)
  state.fingers.set(event.pointerId, at)
}

const distance = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by)

function pinch(map, id, before, at) {
  const [, other] = [...map.state.fingers].find(([one]) => one !== id)
  const span = (point) => distance(point, other) || 1
  move(map, (at[0] - before[0]) / 2, (at[1] - before[1]) / 2)
  zoom(map, span(at) / span(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2)
}

// Whether the pointer has left the place where it was pressed.
const isDrag = ({ still, line }, at) => !still || (line.length > 0 && distance(at, line[0]) > STILL_PX)

function drag(map, event, before, at) {
  const { state, look } = map
  state.still = false
  if (look.tool === "move" || event.buttons > 1) return move(map, at[0] - before[0], at[1] - before[1])
  state.line.push(at)
  paint(map)
}

function release(map, event) {
  const { state, look } = map
  if (!state.fingers.delete(event.pointerId) || state.fingers.size) return
  const { line, pinched, still } = state
  state.line = []
  state.pinched = false
  paint(map)
  if (pinched) return
  if (still) chooseNeighbors(map, line[0], event.pointerType === "touch" ? 2 * REACH_PX : REACH_PX, event.shiftKey)
  else if (look.tool === "lasso" && line.length > 2) chooseRegion(map, line, event.shiftKey)
}

function cancel(map, event) {
  const { state } = map
  state.fingers.delete(event.pointerId)
  state.pinched &&= state.fingers.size > 0
  state.line = []
  paint(map)
}
