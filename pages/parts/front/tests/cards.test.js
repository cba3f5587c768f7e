import assert from "node:assert/strict"
import { beforeEach, test } from "node:test"
import { Drafts } from "../scripts/cards/drafts.js"
import { isSame } from "../scripts/cards/names.js"
import { flat, foldersOf, pasted } from "../scripts/upload/dropped.js"

const words = { card_numbered: "Class {n}" }

beforeEach(() => {
  const kept = {}
  globalThis.sessionStorage = {
    getItem: (key) => kept[key] ?? null,
    setItem: (key, value) => {
      kept[key] = value
    },
  }
})

function draftsOf(...labels) {
  const drafts = new Drafts(`p ${labels.join()}`)
  drafts.see(labels)
  return drafts
}

const called = (drafts) => drafts.list.map((draft) => drafts.nameOf(draft, words))

test("there are two cards in an empty project, one beside a class, and none beside two", () => {
  assert.deepEqual(called(draftsOf()), ["Class 1", "Class 2"])
  assert.deepEqual(called(draftsOf("ants")), ["Class 2"])
  assert.deepEqual(called(draftsOf("ants", "bees")), [])
})

test("a card keeps the number of its place, and no two have one name", () => {
  const drafts = draftsOf("class 2")
  drafts.add()
  drafts.add()
  assert.deepEqual(called(drafts), ["Class 3", "Class 4", "Class 5"])
  drafts.rename(drafts.list[1], "Class 3")
  assert.deepEqual(called(drafts), ["Class 4", "Class 3", "Class 5"])
  drafts.rename(drafts.list[1], "")
  assert.deepEqual(called(drafts), ["Class 3", "Class 4", "Class 5"])
})

test("pictures of a card without a name give it the one that stands there", () => {
  const drafts = draftsOf()
  assert.equal(drafts.claim(drafts.list[1], words), "Class 2")
  drafts.rename(drafts.list[0], " ants ")
  assert.equal(drafts.claim(drafts.list[0], words), "ants")
  assert.deepEqual(called(new Drafts("p ")), ["ants", "Class 2"]) // kept for a reload
})

test("a card goes once its class is there, unless its camera is on or it was only named so", () => {
  const drafts = draftsOf()
  const [first] = drafts.list
  drafts.rename(first, "ants")
  drafts.see(["Ants", "bees"])
  assert.deepEqual(drafts.list, [first]) // the other one, which nobody has touched, is not needed any more
  drafts.claim(first, words)
  first.isOn = true
  drafts.see(["Ants", "bees"])
  assert.deepEqual(drafts.list, [first])
  first.isOn = false
  const asked = drafts.add()
  drafts.see(["Ants", "bees"])
  assert.deepEqual(drafts.list, [asked]) // one that was asked for stays
})

test("a card that was renamed after its pictures were sent is another class", () => {
  const drafts = draftsOf()
  drafts.claim(drafts.list[0], words)
  drafts.rename(drafts.list[0], "ants")
  drafts.see(["Class 1"])
  assert.deepEqual(called(drafts), ["ants", "Class 3"])
})

test("cards can be removed down to two classes", () => {
  const drafts = draftsOf("ants")
  assert.equal(drafts.canRemove, false)
  const added = drafts.add()
  assert.equal(drafts.canRemove, true)
  drafts.remove(added)
  assert.deepEqual(called(drafts), ["Class 2"])
})

test("names are the same in any case, with any spaces and in any form of a letter", () => {
  assert.ok(isSame(" Caf\u00e9  bar", "cafe\u0301 BAR"))
  assert.ok(!isSame("ants", "ant"))
})

const named = (...names) => names.map((name) => ({ file: null, name }))

test("files for one class come without their folders, and without what is hidden", () => {
  const list = named("a/1.jpg", "a/b/2.jpg", "a/.cache/3.jpg", "__MACOSX/a/._1.jpg", "4.jpg")
  assert.deepEqual(
    flat(list).map(({ name }) => name),
    ["1.jpg", "2.jpg", "4.jpg"],
  )
  assert.deepEqual(foldersOf(list), ["a", "b"])
  assert.deepEqual(foldersOf(named("a/1.jpg", "a/.DS_Store", "a/2.jpg")), ["a"])
})

test("a picture of the clipboard gets a name of its own, a file keeps its name", () => {
  const item = (name, type) => ({ kind: "file", getAsFile: () => ({ name, type }) })
  const [one, other, file] = pasted([
    item("image.png", "image/png"),
    item("image.png", "image/png"),
    { kind: "string" },
    item("ant.jpg", "image/jpeg"),
  ])
  assert.match(one.name, /^pasted [0-9a-f]{6}\.png$/)
  assert.notEqual(one.name, other.name)
  assert.equal(file.name, "ant.jpg")
})
