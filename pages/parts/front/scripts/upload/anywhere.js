// Files that are dropped or pasted anywhere on the page, for the place where that was: a class, or the zone for all else.
import { dropped, pasted } from "./dropped.js"

const takers = new WeakMap() // element -> what takes the files that are dropped or pasted on it
const rows = new Map() // the same by the class of an element of Streamlit's
const rest = { zone: null, take() {}, fail() {} }
let lit = null // the element that a drop would go to

export const receive = (element, take) => takers.set(element, take)

// Streamlit's elements come and go, so they are known by class: name -> what takes their files.
export function receiveRows(named) {
  rows.clear()
  for (const [name, take] of Object.entries(named)) rows.set(name, take)
}

// The zone takes what is dropped or pasted beside all others as well; `fail` is told why a drop cannot be read.
export function receiveRest(zone, take, fail) {
  receive(zone, take)
  Object.assign(rest, { zone, take, fail })
}

if (globalThis.document) {
  document.addEventListener("dragover", show)
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) light(null) // it has left the window
  })
  document.addEventListener("drop", drop)
  document.addEventListener("paste", paste)
}

function placeOf(path) {
  for (const element of path) {
    const row = [...(element.classList ?? [])].find((name) => rows.has(name))
    const take = takers.get(element) ?? rows.get(row)
    if (take) return { element, take }
  }
  return null
}

const others = () => (rest.zone?.isConnected ? { element: rest.zone, take: rest.take } : null)
const hasFiles = (event) => event.dataTransfer?.types.includes("Files")

// A text goes where the browser lets it, such as into a name; the zone says of one that there is no file.
function placeAt(event) {
  const path = event.composedPath()
  if (hasFiles(event)) return placeOf(path) ?? others()
  return path.includes(rest.zone) ? others() : null
}

function light(element) {
  if (lit === element) return
  lit?.removeAttribute("data-over")
  element?.setAttribute("data-over", "")
  lit = element
}

function show(event) {
  const place = placeAt(event)
  if (!place || event.defaultPrevented) return light(null)
  event.preventDefault()
  light(place.element)
}

async function drop(event) {
  light(null)
  const place = placeAt(event)
  if (!place || event.defaultPrevented) return
  event.preventDefault()
  try {
    place.take(await dropped(event.dataTransfer.items))
  } catch (error) {
    rest.fail(error)
  }
}

function paste(event) {
  const list = pasted(event.clipboardData?.items ?? [])
  if (!list.length || event.defaultPrevented) return // text, say
  const place = placeOf(above(focused())) ?? others()
  if (!place) return
  event.preventDefault()
  place.take(list)
}

// The element that has the focus, in whichever component.
export function focused() {
  let at = document.activeElement
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
  return at
}

// An element and all that it is in, through the roots of components.
function above(element) {
  const path = []
  for (let at = element; at; at = at.parentElement ?? at.getRootNode().host) path.push(at)
  return path
}
