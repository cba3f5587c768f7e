// A card of one class: the ways in which pictures come into it.
import { cameraOf } from "../camera/recorder.js"
import { element } from "../elements.js"
import { receive } from "../upload/anywhere.js"
import { flat, foldersOf, picked, readClipboard } from "../upload/dropped.js"
import { fill } from "../words.js"

const WAYS = ["files", "folder", "paste", "camera"]
const button = (className) => element("button", { type: "button", className })
const box = (className, ...children) => element("div", { className }, ...children)

export class Card {
  constructor() {
    this.ways = Object.fromEntries(WAYS.map((way) => [way, button(`by-${way}`)]))
    this.line = box("told")
    this.line.role = "status"
    this.question = box("question")
    this.film = film()
    this.root = box("card", box("ways", ...Object.values(this.ways)), this.film, this.question, this.line)
    Object.assign(this.root, { tabIndex: -1, role: "group" })
    this.camera = cameraOf(this.film)
    this.told = ""
    this._letPick("files", { multiple: true, accept: "image/*,.zip" })
    this._letPick("folder", { webkitdirectory: true })
    this.ways.paste.onclick = () => this._paste()
    this.ways.camera.onclick = () => this.turn(this.film.hidden)
    receive(this.root, (list) => this.take(list))
  }

  // `given`: words; the class as it is called now (`name`); `claim`, which answers the class that pictures get from now
  // on; `send` for files and a class; `camera`, its settings; `turned`, which is told that the camera is on or off.
  // `line` is told where the card itself has nothing to say.
  draw(given, line) {
    this.given = given
    for (const way of WAYS) {
      const textContent = given.words[`card_${way}`]
      Object.assign(this.ways[way], { textContent, ariaLabel: `${textContent} ${given.name}` })
    }
    this.root.setAttribute("aria-label", given.name)
    this.ways.camera.setAttribute("aria-expanded", String(!this.film.hidden))
    this.camera.draw({ ...given.camera, ready: true, claim: given.claim })
    this.line.textContent = this.told || line
  }

  // A folder of folders may be one class, or have a class in each: that is asked.
  take(list) {
    this.tell("")
    const folders = foldersOf(list)
    if (folders.length > 1) this._ask(list, folders)
    else this._send(list)
  }

  turn(isOn) {
    this.film.hidden = !isOn
    this.ways.camera.setAttribute("aria-expanded", String(isOn))
    if (!isOn) this.camera.turnOff()
    else this.camera.turnOn()
    this.given.turned(isOn)
  }

  // Goes on with the camera that was on when the page was drawn anew; answers whether there is one.
  resume() {
    const isOn = this.camera.goOn()
    this.film.hidden = !isOn
    if (isOn) this.root.scrollIntoView({ block: "nearest" })
    return isOn
  }

  tell(text) {
    this.told = text
    this.line.textContent = text
    this.question.replaceChildren()
  }

  _send(list) {
    const files = flat(list)
    this.given.send(files, files.length ? this.given.claim() : "")
  }

  _ask(list, folders) {
    const { words, name, send } = this.given
    const answer = (text, action) => {
      const act = () => {
        this.question.replaceChildren()
        action()
      }
      return element("button", { type: "button", textContent: text, onclick: act })
    }
    const text = fill(words.card_folders, { n: folders.length, folders: named(folders) })
    const one = answer(fill(words.card_folders_one, { label: name }), () => this._send(list))
    const each = answer(words.card_folders_each, () => send(list, ""))
    this.question.replaceChildren(element("span", { textContent: text }), one, each)
    one.focus()
  }

  _letPick(way, properties) {
    const field = element("input", { type: "file", hidden: true, className: `card-${way}`, ...properties })
    this.ways[way].onclick = () => field.click()
    field.onchange = () => {
      const list = picked(field.files)
      field.value = "" // else choosing the same files again would be no change
      this.take(list)
    }
    this.root.append(field)
  }

  async _paste() {
    const { words } = this.given
    try {
      const list = await readClipboard()
      if (list.length) this.take(list)
      else this.tell(words.paste_nothing)
    } catch {
      this.tell(words.paste_keys)
      this.root.focus()
    }
  }
}

const named = (folders) => [...folders.slice(0, 3), ...(folders.length > 3 ? ["\u2026"] : [])].join(", ")

// What the camera needs to be drawn in.
function film() {
  const hold = Object.assign(button("hold"), { hidden: true })
  const line = box("line")
  line.role = "status"
  const video = element("video", { muted: true, playsInline: true, hidden: true })
  return Object.assign(box("camera", button("on"), hold, line, video), { hidden: true })
}
