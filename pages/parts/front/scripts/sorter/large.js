// One picture of a sorter, enlarged in a dialog.
import { explain } from "./actions.js"

export function showLarge(sorter, i) {
  const { data, large, selection, words, paint } = sorter
  if (!selection.moveTo(i)) return
  const item = data.items[i]
  const image = large.querySelector("img")
  image.src = `/api/picture/${item.id}`
  image.onerror = () => {
    image.onerror = null
    image.src = `/api/thumbnail/${item.id}`
  }
  image.alt = item.label
  large.querySelector(".facts").textContent = item.facts
  large.querySelector(".mark").textContent = selection.chosen.has(item.id) ? words.unmark : words.mark
  if (!large.open) large.showModal()
  paint()
}

export const turn = (sorter, step) => showLarge(sorter, sorter.selection.at + step)

export function markLarge(sorter) {
  sorter.selection.toggle(sorter.selection.at, false)
  showLarge(sorter, sorter.selection.at)
}

export function letTurn(sorter, closed) {
  const { large, data } = sorter
  const close = () => large.close()
  large.onkeydown = (event) => {
    const action = {
      ArrowLeft: () => turn(sorter, -1),
      ArrowRight: () => turn(sorter, 1),
      " ": () => markLarge(sorter),
      w: data.why && !event.repeat ? () => explain(sorter) : undefined,
      Escape: close,
    }[event.key]
    if (!action) return
    action()
    event.preventDefault()
    event.stopPropagation()
  }
  large.onclose = closed
  large.onclick = (event) => {
    if (event.target === large) close()
  }
}
