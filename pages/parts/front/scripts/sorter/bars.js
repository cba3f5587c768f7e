// The bars above the pictures of a sorter: what is selected, and what can be done with it.
import { element } from "../elements.js"
import { fill } from "../words.js"
import { act, explain, leaveOut, relabel, undo } from "./actions.js"
import { markLarge, turn } from "./large.js"

export function drawBars(sorter) {
  const { data, find, words } = sorter
  for (const [name, [text, action]] of Object.entries(buttons(sorter))) {
    Object.assign(find(name), { textContent: text, onclick: action })
  }
  for (const name of ["close", "back", "on"]) find(`.${name}`).setAttribute("aria-label", words[name])
  find(".undo").hidden = !data.undo
  find(".why").hidden = !data.why
  find(".acts").hidden = !data.items.length
  find(".keys").textContent = data.items.length ? words.keys + (data.why ? ` ${words.keys_why}` : "") : ""
  drawClass(sorter)
  drawPart(sorter)
}

function buttons(sorter) {
  const { data, words, change, large } = sorter
  return {
    ".page": [words.all, () => change((selection) => selection.selectPage())],
    ".every": [fill(words.every, { n: data.n }), () => change((selection) => selection.selectEvery())],
    ".none": [words.none, () => change((selection) => selection.clear())],
    ".out": [data.excluded ? words.take_back : words.leave_out, () => leaveOut(sorter)],
    ".move": [words.move, () => relabel(sorter)],
    ".undo": [data.undo, () => undo(sorter)],
    ".close": ["\u00d7", () => large.close()],
    ".back": ["\u2190", () => turn(sorter, -1)],
    ".on": ["\u2192", () => turn(sorter, 1)],
    ".mark": [words.mark, () => markLarge(sorter)],
    ".why": [words.why, () => explain(sorter)],
  }
}

const option = (value, textContent) => element("option", { value, textContent })

function drawClass(sorter) {
  const { data, find, words, paint } = sorter
  const field = find(".class")
  field.placeholder = words.class
  field.setAttribute("aria-label", words.class)
  field.oninput = paint
  field.onkeydown = (event) => {
    if (event.key === "Enter" && field.value.trim()) relabel(sorter)
  }
  find("#classes").replaceChildren(...data.classes.map((name) => option(name, "")))
}

function drawPart(sorter) {
  const { data, find, words } = sorter
  const field = find(".part")
  field.setAttribute("aria-label", words.part)
  field.hidden = data.excluded
  field.replaceChildren(option("", words.part), ...data.parts.map((part, i) => option(part, data.part_names[i])))
  field.onchange = () => {
    if (field.value) act(sorter, { code: "move", part: field.value })
  }
}

export function paintBars({ data, find, words, selection }) {
  const n = selection.count(data.n)
  const { length } = data.items
  find(".count").textContent = n ? fill(words.selected, { n }) : words.hint
  find(".none").hidden = !n
  find(".page").hidden = !length || selection.isWholePage
  find(".every").hidden = data.n <= length || selection.every || selection.chosen.size < length
  find(".out").disabled = find(".part").disabled = !n
  find(".move").disabled = !n || !find(".class").value.trim()
}
