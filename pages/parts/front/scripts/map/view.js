// Where the points of a map are on the screen: projection, zoom, and which points are meant.
// A view is the place in the middle (x and y from 0 to 1) and the zoom; a projection is a view on a frame in pixels.
export const WHOLE = { x: 0.5, y: 0.5, zoom: 1 }
const PAD = 22 // pixels between the points and the frame's edge, at zoom 1
const ZOOM = [0.8, 200]
const MIDDLE = [-0.2, 1.2] // the map can be moved nearly out of the frame, not further

const within = ([least, most], value) => Math.min(most, Math.max(least, value))

export function project(view, width, height, nPoints) {
  const px = (Math.min(width, height) - 2 * PAD) * view.zoom // of the unit square's side
  const size = Math.min(11, Math.max(3, 40 / Math.sqrt(nPoints / 40)) * Math.min(2.2, Math.sqrt(view.zoom)))
  return { w: width, h: height, px, x: view.x, y: view.y, size }
}

export function onScreen(places, { x, y, px, w, h }, i) {
  return [(places[2 * i] - x) * px + w / 2, (places[2 * i + 1] - y) * px + h / 2]
}

// Zooms by a factor; the place below (x, y), in pixels, stays where it is.
export function zoomed(view, { px, w, h }, factor, x, y) {
  const zoom = within(ZOOM, view.zoom * factor)
  const share = 1 - view.zoom / zoom
  return { x: view.x + ((x - w / 2) / px) * share, y: view.y + ((y - h / 2) / px) * share, zoom }
}

export function moved(view, { px }, dx, dy) {
  return { x: within(MIDDLE, view.x - dx / px), y: within(MIDDLE, view.y - dy / px), zoom: view.zoom }
}

// Whether a point is inside a closed line (even-odd rule).
export function isInside([x, y], line) {
  let inside = false
  let [bx, by] = line.at(-1) ?? []
  for (const [ax, ay] of line) {
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside
    ;[bx, by] = [ax, ay]
  }
  return inside
}

// The k of `indices` nearest to (x, y), within reach, nearest first; `place` gives where each is on the screen.
export function nearest(indices, place, [x, y], k, reach = Number.POSITIVE_INFINITY) {
  const found = []
  for (const i of indices) {
    const [px, py] = place(i)
    const distance = Math.hypot(px - x, py - y)
    if (distance <= reach) found.push([distance, i])
  }
  return found
    .sort((a, b) => a[0] - b[0])
    .slice(0, k)
    .map(([, i]) => i)
}

// Places on the way from one layout to another; t goes from 0 to 1 and the movement starts and ends slowly.
export function between(from, to, t) {
  if (t >= 1) return to
  const share = t * t * (3 - 2 * t)
  return from.map((value, i) => value + (to[i] - value) * share)
}
