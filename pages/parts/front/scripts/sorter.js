// Pictures that are selected and moved to other classes or parts. Everything up to an action happens here, so that
// selecting costs no rerun of the page and no list closes under the pointer.
import { drawBars, paintBars } from "./sorter/bars.js"
import { drawGrid, focus } from "./sorter/grid.js"
import { letTurn } from "./sorter/large.js"
import { Selection } from "./sorter/selection.js"

const selections = new WeakMap()

export default function draw({ data, parentElement, setTriggerValue }) {
  const find = (name) => parentElement.querySelector(name)
  const selection = selections.get(parentElement) ?? new Selection()
  selections.set(parentElement, selection)
  const ids = data.items.map((item) => item.id)
  const fresh = selection.open(data.listing, ids, data.focus) // an action goes on where it was
  const send = (what) => setTriggerValue("act", what)
  const sorter = { data, words: data.words, find, selection, grid: find(".grid"), large: find(".large"), send }
  sorter.paint = () => paint(sorter)
  sorter.change = (action) => {
    action(selection)
    paint(sorter)
  }
  drawGrid(sorter, fresh)
  letTurn(sorter, () => focus(sorter, selection.at))
  drawBars(sorter)
  if (fresh) find(".class").value = ""
  paint(sorter)
  if (fresh && data.focus && ids.length && isIdle(sorter))
    sorter.grid.children[selection.at].focus({ preventScroll: true })
}

function paint(sorter) {
  const { grid, selection } = sorter
  for (const [i, cell] of [...grid.children].entries()) {
    cell.setAttribute("aria-selected", selection.has(i))
    cell.tabIndex = i === selection.at ? 0 : -1
  }
  paintBars(sorter)
}

// Whether the focus is not on something else, which it must not be taken from.
function isIdle({ grid }) {
  return [document.body, grid.getRootNode().host].includes(document.activeElement)
}
