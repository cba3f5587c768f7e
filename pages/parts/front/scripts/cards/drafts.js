// The cards of a project that are no classes yet. They last as long as the tab is open.
import { randomId } from "../upload/tab.js"
import { fill } from "../words.js"
import { isSame } from "./names.js"

const BOTH = 2 // classes and cards without pictures that there are at least: a model tells classes apart

export class Drafts {
  // A draft has an `id` and a `name`, and is `sent` once pictures were sent under that name; `asked` if somebody wanted
  // one more. `isOn`, which is not kept, is whether its camera is in use.
  constructor(project) {
    this.key = `cards-${project}`
    this.list = JSON.parse(sessionStorage.getItem(this.key) ?? "[]")
    this.labels = []
  }

  keep() {
    const kept = this.list.map(({ id, name, sent, asked }) => ({ id, name, sent, asked }))
    sessionStorage.setItem(this.key, JSON.stringify(kept))
  }

  // The classes that the project has now; a card that has become one goes, unless its camera is in use, and so does one
  // that nobody has touched once there are enough classes.
  see(labels) {
    this.labels = labels
    const isDone = ({ name, sent, asked }) => (sent ? this._isClass(name) : !name && !asked && labels.length >= BOTH)
    this.list = this.list.filter((draft) => draft.isOn || !isDone(draft))
    while (this.labels.length + this.list.length < BOTH) this._begin()
    this.keep()
  }

  add() {
    const draft = Object.assign(this._begin(), { asked: true })
    this.keep()
    return draft
  }

  remove(draft) {
    this.list = this.list.filter((other) => other !== draft)
    this.keep()
  }

  rename(draft, name) {
    Object.assign(draft, { name, sent: false })
    this.keep()
  }

  // The class that pictures of a card get from now on: without a name, that which stands in its field in grey.
  claim(draft, words) {
    Object.assign(draft, { name: this.nameOf(draft, words), sent: true })
    this.keep()
    return draft.name
  }

  get canRemove() {
    return this.labels.length + this.list.length > BOTH
  }

  nameOf(draft, words) {
    return draft.name.trim() || this.placeholder(draft, words)
  }

  // "Class 2" for the second card, unless there is such a class or another card with that name.
  placeholder(draft, words) {
    const taken = (name) => this._isClass(name) || this.list.some((other) => isSame(other.name, name))
    const given = [] // to cards before it
    for (const [i, each] of this.list.entries()) {
      let n = this.labels.length + i
      let name = ""
      do name = fill(words.card_numbered, { n: ++n })
      while (taken(name) || given.includes(name))
      if (each === draft) return name
      if (!each.name) given.push(name)
    }
    return ""
  }

  _isClass(name) {
    return this.labels.some((label) => isSame(label, name))
  }

  _begin() {
    const draft = { id: randomId(), name: "", sent: false }
    this.list.push(draft)
    return draft
  }
}
