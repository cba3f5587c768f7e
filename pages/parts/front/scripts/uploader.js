// The drop zone: shows what is sent and what stopped; the sending itself is the queue's.
import { element } from "./elements.js"
import { receiveRest } from "./upload/anywhere.js"
import { picked } from "./upload/dropped.js"
import { describeStop, queueOf } from "./upload/queue.js"
import { randomId, stopped, warnBeforeLeaving } from "./upload/tab.js"
import { fill } from "./words.js"

warnBeforeLeaving()

export default function draw({ data, parentElement, setTriggerValue }) {
  const find = (name) => parentElement.querySelector(`.${name}`)
  const zone = find("zone")
  const queue = queueOf(data.project)
  queue.settings = data
  queue.taken = () => {
    if (zone.isConnected) setTriggerValue("done", randomId())
  }
  queue.views.zone = () => drawQueue(queue, find)
  drawTexts(find, data)
  const send = (list) => queue.add(list, data.label)
  letPick(find, send)
  receiveRest(zone, send, (error) => queue.note(fill(data.words.drop_unreadable, { why: error.message })))
  queue.takeInArrived()
  queue.draw()
}

function drawTexts(find, { words, slim }) {
  find("zone").classList.toggle("slim", slim)
  find("title").textContent = words.drop
  find("more").textContent = words.drop_more
  find("files").textContent = words.choose_files
  find("folder").textContent = words.choose_folder
}

function drawQueue(queue, find) {
  const { words } = queue.settings
  find("zone").classList.toggle("busy", Boolean(queue.now))
  find("bar").value = queue.progress?.share ?? 0
  const next = queue.nWaiting ? ` \u00b7 ${fill(words.upload_next, { n: queue.nWaiting })}` : ""
  find("line").textContent = queue.now ? queue.progress.text + next : ""
  const stops = stopped(queue.project).map((one) => notice(describeStop(one, words), () => queue.dismiss(one), words))
  const notes = queue.notes.map((text) => notice(text, () => queue.dismissNote(text), words))
  find("notices").replaceChildren(...stops, ...notes)
}

function notice(text, dismiss, words) {
  const close = element("button", { type: "button", textContent: words.dismiss, onclick: dismiss })
  return element("div", { className: "notice" }, element("span", { textContent: text }), close)
}

function letPick(find, send) {
  for (const [button, field] of [
    ["files", "pick-files"],
    ["folder", "pick-folder"],
  ]) {
    find(button).onclick = () => find(field).click()
    find(field).onchange = ({ target }) => take(target, send)
    if (find(field).files.length) take(find(field), send) // chosen before this script was there
  }
}

function take(field, send) {
  const list = picked(field.files)
  field.value = "" // else choosing the same files again, to go on, would be no change
  send(list)
}
