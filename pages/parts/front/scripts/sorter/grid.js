// The small pictures of a sorter: drawn, selected by clicks and keys.
import { element } from "../elements.js"
import { explain, leaveOut, undo } from "./actions.js"
import { showLarge } from "./large.js"

export function drawGrid(sorter, fresh) {
  const { data, grid, words } = sorter
  if (fresh || grid.children.length !== data.items.length) {
    grid.setAttribute("role", "listbox")
    grid.setAttribute("aria-multiselectable", "true")
    grid.setAttribute("aria-label", words.pictures)
    grid.replaceChildren(...data.items.map((item) => cellOf(item, words)))
  }
  for (const [i, cell] of [...grid.children].entries()) {
    cell.onclick = (event) => toggle(sorter, i, event.shiftKey)
    cell.ondblclick = () => showLarge(sorter, i)
    cell.querySelector(".zoom").onclick = (event) => {
      event.stopPropagation()
      showLarge(sorter, i)
    }
  }
  grid.onkeydown = (event) => press(sorter, event)
}

function cellOf({ id, label, part, facts }, words) {
  const image = element("img", { loading: "lazy", src: `/api/thumbnail/${id}`, alt: "", draggable: false })
  const zoom = element("span", { className: "zoom", textContent: "\u2922", title: words.enlarge })
  const texts = [label, part].map((textContent) => element("span", { textContent }))
  const cell = element("div", { className: "cell" }, image, zoom, element("div", { className: "text" }, ...texts))
  cell.setAttribute("role", "option")
  cell.setAttribute("aria-label", facts)
  return cell
}

export function toggle({ selection, paint }, i, range) {
  selection.toggle(i, range)
  paint()
}

export function focus({ selection, grid, paint }, i) {
  if (!selection.moveTo(i)) return
  paint()
  grid.children[i].focus()
}

function press(sorter, event) {
  if (event.altKey) return // the browser's way back
  const action = movement(sorter, event) ?? command(sorter, event)
  if (!action) return
  action()
  event.preventDefault()
  event.stopPropagation()
}

function movement(sorter, { key, shiftKey }) {
  const { selection, grid, data } = sorter
  const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length
  const step = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    Home: -selection.at,
    End: data.items.length - 1 - selection.at,
  }[key]
  if (step === undefined) return
  return () => {
    focus(sorter, selection.at + step)
    if (shiftKey) toggle(sorter, selection.at, true)
  }
}

function command(sorter, { key, shiftKey, ctrlKey, metaKey, repeat }) {
  const { selection, data } = sorter
  const remove = () => {
    if (!selection.request) selection.mark(selection.at, true)
    leaveOut(sorter)
  }
  return {
    " ": () => toggle(sorter, selection.at, shiftKey),
    Enter: () => showLarge(sorter, selection.at),
    Delete: remove,
    Backspace: remove,
    z: data.undo && !repeat ? () => undo(sorter) : undefined,
    w: data.why && !repeat ? () => explain(sorter) : undefined,
    a: ctrlKey || metaKey ? () => sorter.change((selected) => selected.selectPage()) : undefined,
    Escape: () => sorter.change((selected) => selected.clear()),
  }[key]
}
