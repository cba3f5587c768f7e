// What is chosen on a map: a region, what is in sight, or the neighbors of a point.
import { placing, projection, recolor } from "./drawing.js"
import { isInside, nearest } from "./view.js"

const NEIGHBORS = 24

export function choose(map, found, more = false) {
  const { look } = map
  look.chosen = new Set(more ? [...look.chosen, ...found] : found)
  map.find(".none").hidden = !look.chosen.size
  recolor(map)
  map.send([...look.chosen])
}

export function chooseVisible(map) {
  const { w, h } = projection(map)
  const isVisible = ([x, y]) => x >= 0 && y >= 0 && x <= w && y <= h
  chooseWhere(map, isVisible)
}

export function chooseRegion(map, line, more) {
  chooseWhere(map, (at) => isInside(at, line), more)
}

function chooseWhere(map, test, more) {
  const place = placing(map)
  const found = map.points.where((i) => test(place(i)))
  choose(map, map.points.rarestFirst(found), more)
}

export function chooseNeighbors(map, at, reach, more) {
  if (near(map, at, 1, reach).length) choose(map, near(map, at, NEIGHBORS), more)
}

export function near(map, at, k, reach) {
  return nearest(map.shown, placing(map), at, k, reach)
}
