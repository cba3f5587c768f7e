// Small pictures in rows, to look at or to select from.
import { element } from "./elements.js"
import { Selection } from "./sorter/selection.js"

// What is selected in one listing: a run of the page that began before the last click must not take it back.
const selections = new WeakMap()
const watches = new WeakMap()

export default function draw({ data, parentElement, setStateValue, setTriggerValue }) {
  const grid = parentElement.querySelector(".grid")
  const selection = selectionOf(parentElement, data)
  const send = () => setStateValue("selected", [...selection.chosen])
  const at = [...grid.children].indexOf(grid.getRootNode().activeElement)
  grid.style.setProperty("--size", `${data.size}px`)
  grid.classList.toggle("strip", data.strip)
  grid.replaceChildren(...data.items.map(cell))
  if (data.mode === "many") letSelect(grid, selection, send)
  if (data.mode === "one") letPick(grid, data, selection, (id) => setTriggerValue("picked", id))
  drawTools(parentElement.querySelector(".tools"), data, (all) => {
    selection.clear()
    if (all) selection.selectPage()
    mark(grid, selection)
    send()
  })
  grid.children[at]?.focus({ preventScroll: true }) // keys go on where they were
  watchStrip(grid, data)

  function cell(item) {
    const image = { loading: "lazy", src: `/api/${item.source}/${item.id}`, alt: item.name, title: item.alt }
    const caption = item.caption ? [element("span", { textContent: item.caption, title: item.caption })] : []
    return element(data.mode === "show" ? "div" : "button", { className: "cell" }, element("img", image), ...caption)
  }
}

function selectionOf(parentElement, { items, mode, selected }) {
  const ids = items.map((item) => item.id)
  const selection = (mode === "many" && selections.get(parentElement)) || new Selection()
  selections.set(parentElement, selection)
  if (selection.open(ids.join(), ids)) selection.chosen = new Set(selected)
  return selection
}

function letSelect(grid, selection, send) {
  for (const [i, cell] of [...grid.children].entries()) {
    cell.type = "button"
    cell.onclick = ({ shiftKey }) => {
      selection.toggle(i, shiftKey)
      mark(grid, selection)
      send()
    }
  }
  mark(grid, selection)
}

function letPick(grid, { items }, selection, send) {
  for (const [i, { id }] of items.entries())
    Object.assign(grid.children[i], { type: "button", onclick: () => send(id) })
  mark(grid, selection)
}

function mark(grid, selection) {
  for (const [i, cell] of [...grid.children].entries()) cell.setAttribute("aria-pressed", selection.has(i))
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
