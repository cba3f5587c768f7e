// The head of the card of a class that is not there yet: its name, which is being written, and a button to drop it.
import { element } from "../elements.js"
import { focused } from "../upload/anywhere.js"
import { fill } from "../words.js"

// `going.typing` is the id of the draft whose name is being written.
export function beginHead(card, id, going) {
  card.name = element("input", { className: "name", autocomplete: "off" })
  card.close = element("button", { type: "button", className: "remove", textContent: "\u00d7" })
  card.root.prepend(element("div", { className: "head" }, card.name, card.close))
  card.name.onfocus = () => {
    going.typing = id
  }
  card.name.onblur = ({ relatedTarget }) => {
    if (relatedTarget)
      going.typing = "" // something else has the focus now
    else setTimeout(() => goOnTyping(card.name, id, going))
  }
  card.name.onkeydown = (event) => event.stopPropagation() // single letters are keys of the page
}

// A field loses the focus without anybody's doing when the page around it is drawn anew; it gets it back where nothing
// else has it.
export function goOnTyping(name, id, going) {
  if (going.typing === id && name.isConnected && isFree(focused())) name.focus({ preventScroll: true })
}

const isFree = (at) => !at || at === document.body

// Pressing anywhere else ends the writing, also where nothing takes the focus.
export function leaveWhenPressed(going) {
  const leave = (event) => {
    if (!event.composedPath().some((at) => at.classList?.contains("name"))) going.typing = ""
  }
  addEventListener("pointerdown", leave, { capture: true })
}

// `isBusy`: pictures are on their way under this name.
export function drawHead({ name, close }, draft, { all, words, redraw, isBusy, longest }) {
  Object.assign(name, { placeholder: all.placeholder(draft, words), readOnly: isBusy, maxLength: longest })
  name.setAttribute("aria-label", words.class_name)
  if (name.value !== draft.name) name.value = draft.name
  name.oninput = () => {
    all.rename(draft, name.value)
    redraw()
  }
  close.hidden = isBusy || !all.canRemove
  close.setAttribute("aria-label", fill(words.card_remove, { label: all.nameOf(draft, words) }))
  close.onclick = () => {
    all.remove(draft)
    redraw()
  }
}
