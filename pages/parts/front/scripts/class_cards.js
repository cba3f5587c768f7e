// Cards of classes that are made on the page, or the card of a class that there is: filled by files, a folder, the
// clipboard or the camera.
import { Card } from "./cards/card.js"
import { Drafts } from "./cards/drafts.js"
import { beginHead, drawHead, goOnTyping, leaveWhenPressed } from "./cards/head.js"
import { receiveRows } from "./upload/anywhere.js"
import { flat } from "./upload/dropped.js"
import { queueOf } from "./upload/queue.js"
import { warnBeforeLeaving } from "./upload/tab.js"

const drafts = {} // by project
const drawn = new WeakMap() // what a component has drawn: id -> card
// What goes on when the page is drawn anew: the draft whose name is being written, and the class whose camera is on.
const going = { typing: "", filming: "" }

warnBeforeLeaving()
leaveWhenPressed(going)

export default function draw({ data, parentElement }) {
  const queue = queueOf(data.project)
  queue.settings ??= data // until the zone is there
  if (!drawn.has(parentElement)) drawn.set(parentElement, new Map())
  const page = { data, queue, words: data.words, cards: drawn.get(parentElement), root: parentElement }
  if (data.label) show(page, `row ${data.label}`, drawOne)
  else {
    drafts[data.project] ??= new Drafts(data.project)
    page.drafts = drafts[data.project]
    page.drafts.see(data.labels)
    receiveRows(rowsOf(page))
    show(page, "cards", drawDrafts)
  }
  return () => {
    for (const card of page.cards.values()) card.camera.leave()
  }
}

function show(page, view, drawAll) {
  page.redraw = () => drawAll(page)
  page.queue.views[view] = page.redraw
  page.redraw()
}

// What is dropped or pasted on the row of a class goes to that class.
function rowsOf({ data, queue }) {
  const send = (label) => (list) => queue.add(flat(list), label)
  return Object.fromEntries(Object.entries(data.rows).map(([key, label]) => [`st-key-${key}`, send(label)]))
}

function given({ data, queue, words }, name, claim, turned) {
  const { project, px, every, most } = data
  const camera = { project, px, every, most, words, done: () => queue.taken() }
  return { words, name, claim, turned, camera, send: (list, label) => queue.add(list, label) }
}

// What becomes of the pictures of a class.
function lineOf({ queue, words, data }, label, isSent) {
  if (label && queue.isSending(label)) return queue.progress?.text ?? words.uploading
  return isSent && data.busy ? words.card_busy : ""
}

const placeOf = (root) => root.querySelector(".cards")

function drawOne(page) {
  const { data, cards, root } = page
  const { label } = data
  const turned = (isOn) => {
    going.filming = isOn ? label : ""
  }
  const isNew = !cards.size
  if (isNew) cards.set(label, new Card())
  const [card] = cards.values()
  placeOf(root).classList.add("only")
  root.querySelector(".add").hidden = true
  card.draw(
    given(page, label, () => label, turned),
    lineOf(page, label, false),
  )
  if (!isNew) return
  placeOf(root).replaceChildren(card.root)
  if (going.filming === label) card.resume()
}

function drawDrafts(page) {
  const { words, cards, drafts: all, root } = page
  place(page)
  for (const draft of all.list) drawDraft(page, draft)
  const add = root.querySelector(".add")
  add.textContent = words.card_add
  add.onclick = () => {
    const { id } = all.add()
    drawDrafts(page)
    cards.get(id).name.focus()
  }
  const name = cards.get(going.typing)?.name
  if (name) goOnTyping(name, going.typing, going)
}

// The cards of all drafts in their order; those that stay are not touched, as one may have the focus or a camera.
function place({ cards, drafts: all, root }) {
  const known = new Set(all.list.map(({ id }) => id))
  for (const [id, card] of cards) {
    if (known.has(id)) continue
    card.root.remove()
    cards.delete(id)
  }
  for (const { id } of all.list) {
    if (cards.has(id)) continue
    const card = Object.assign(new Card(), { isNew: true })
    beginHead(card, id, going)
    cards.set(id, card)
    placeOf(root).append(card.root)
  }
}

function drawDraft(page, draft) {
  const { data, queue, words, cards, drafts: all, redraw } = page
  const card = cards.get(draft.id)
  const claim = () => {
    const label = all.claim(draft, words)
    redraw()
    return label
  }
  const turned = (isOn) => {
    draft.isOn = isOn
    all.see(data.labels)
    redraw()
  }
  card.draw(given(page, all.nameOf(draft, words), claim, turned), lineOf(page, draft.name, draft.sent))
  const isBusy = draft.sent && (data.busy || queue.isSending(draft.name))
  drawHead(card, draft, { all, words, redraw, isBusy, longest: data.longest })
  const wasOn = card.isNew && draft.isOn
  card.isNew = false
  if (wasOn && !card.resume()) turned(false)
}
