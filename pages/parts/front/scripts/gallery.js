// Small pictures in rows, to look at or to select from.
import { element } from "./elements.js"

// What is selected in one listing: a run of the page that began before the last click must not take it back.
const states = new WeakMap()
const watches = new WeakMap()

export default function draw({ data, parentElement, setStateValue, setTriggerValue }) {
  const grid = parentElement.querySelector(".grid")
  const chosen = chosenOf(parentElement, data)
  const send = () => setStateValue("selected", [...chosen])
  grid.style.setProperty("--size", `${data.size}px`)
  grid.classList.toggle("strip", data.strip)
  grid.replaceChildren(...data.items.map(cell))
  if (data.mode === "many") letSelect(grid, data, chosen, send)
  if (data.mode === "one") letPick(grid, data, chosen, (id) => setTriggerValue("picked", id))
  drawTools(parentElement.querySelector(".tools"), data, (all) => {
    chosen.clear()
    if (all) for (const { id } of data.items) chosen.add(id)
    for (const each of grid.children) each.setAttribute("aria-pressed", all && data.items.length > 0)
    send()
  })
  watchStrip(grid, data)

  function cell(item) {
    const image = { loading: "lazy", src: `/api/${item.source}/${item.id}`, alt: item.name, title: item.alt }
    const caption = item.caption ? [element("span", { textContent: item.caption, title: item.caption })] : []
    return element(data.mode === "show" ? "div" : "button", { className: "cell" }, element("img", image), ...caption)
  }
}

function chosenOf(parentElement, { items, mode, selected }) {
  const listing = items.map((item) => item.id).join()
  const before = states.get(parentElement)
  const chosen = mode === "many" && before?.listing === listing ? before.chosen : new Set(selected)
  states.set(parentElement, { listing, chosen })
  return chosen
}

function letSelect(grid, { items }, chosen, send) {
  for (const [i, { id }] of items.entries()) {
    const cell = grid.children[i]
    const mark = () => cell.setAttribute("aria-pressed", chosen.has(id))
    cell.type = "button"
    cell.onclick = () => {
      if (!chosen.delete(id)) chosen.add(id)
      mark()
      send()
    }
    mark()
  }
}

function letPick(grid, { items }, chosen, send) {
  for (const [i, { id }] of items.entries()) {
    const cell = Object.assign(grid.children[i], { type: "button", onclick: () => send(id) })
    cell.setAttribute("aria-pressed", chosen.has(id))
  }
}

function drawTools(tools, data, selectAll) {
  tools.hidden = data.mode !== "many" || !data.items.length
  for (const name of ["all", "none"]) {
    const button = tools.querySelector(`.${name}`)
    button.textContent = data[name]
    button.setAttribute("aria-label", `${data[name]} ${data.of}`.trim())
    button.onclick = () => selectAll(name === "all")
  }
}

// A row that moves sideways can be reached by keys, and only then.
function watchStrip(grid, { strip, mode, row }) {
  watches.get(grid)?.disconnect()
  if (!strip || mode !== "show") return
  const watch = new ResizeObserver(() => {
    const moves = grid.scrollWidth > grid.clientWidth
    for (const [name, value] of Object.entries({ tabindex: 0, role: "group", "aria-label": row })) {
      if (moves) grid.setAttribute(name, value)
      else grid.removeAttribute(name)
    }
  })
  watch.observe(grid)
  watches.set(grid, watch)
}
