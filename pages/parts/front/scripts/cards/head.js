// The head of the card of a class that is not there yet: its name, which is being written, and a button to drop it.
import { element } from "../elements.js"
import { fill } from "../words.js"

// `going.typing` is kept as the id of the draft whose name has the focus.
export function beginHead(card, id, going) {
  card.name = element("input", { className: "name", autocomplete: "off" })
  card.close = element("button", { type: "button", className: "remove", textContent: "\u00d7" })
  card.root.prepend(element("div", { className: "head" }, card.name, card.close))
  card.name.onfocus = () => {
    going.typing = id
  }
  card.name.onblur = () => setTimeout(() => leave(card.name, id, going))
  card.name.onkeydown = (event) => event.stopPropagation() // single letters are keys of the page
}

// A field that goes with its page is not left.
function leave(name, id, going) {
  if (name.isConnected && going.typing === id) going.typing = ""
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
