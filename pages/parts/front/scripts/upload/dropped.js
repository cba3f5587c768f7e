// The files that were dropped, picked or pasted: each with its name, those of folders with their path.
import { randomId } from "./tab.js"

// The items of a drop are gone once this waits, so they are read first.
export async function dropped(items) {
  const entries = [...items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry() ?? item.getAsFile())
  const found = []
  for (const entry of entries) {
    if (entry instanceof File) found.push({ file: entry, name: entry.name })
    else await walk(entry, "", found)
  }
  return found
}

export const picked = (files) => [...files].map((file) => ({ file, name: file.webkitRelativePath || file.name }))

// The pictures of the clipboard, from the items of a paste. Browsers give all of them the same name.
export const pasted = (items) => [...items].filter(({ kind }) => kind === "file").map((item) => named(item.getAsFile()))

// The pictures of the clipboard, read when a button is pressed. Throws where the browser does not let one.
export async function readClipboard() {
  const found = []
  for (const item of await navigator.clipboard.read()) {
    const type = item.types.find((each) => each.startsWith("image/"))
    if (type) found.push(named(await item.getType(type)))
  }
  return found
}

function named(file) {
  const isShot = !file.name || /^image\.\w+$/.test(file.name)
  return { file, name: isShot ? `pasted ${randomId().slice(0, 6)}.${file.type.split("/")[1]}` : file.name }
}

// Files for one class, of which folders say nothing: what is hidden in folders is left out.
export function flat(list) {
  const isSeen = ({ name }) => !name.split("/").slice(0, -1).some(isHidden)
  return list.filter(isSeen).map(({ file, name }) => ({ file, name: name.split("/").at(-1) }))
}

// The folders that hold files themselves, by their own names.
export function foldersOf(list) {
  const paths = list.map(({ name }) => name.split("/")).filter((path) => !path.some(isHidden))
  const inside = paths.filter((path) => path.length > 1)
  return [...new Map(inside.map((path) => [path.slice(0, -1).join("/"), path.at(-2)])).values()]
}

const isHidden = (part) => part.startsWith(".") || part === "__MACOSX"

async function walk(entry, path, found) {
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail))
    found.push({ file, name: path + file.name })
    return
  }
  const reader = entry.createReader()
  const read = () => new Promise((done, fail) => reader.readEntries(done, fail))
  for (let some = await read(); some.length; some = await read()) {
    for (const child of some) await walk(child, `${path + entry.name}/`, found)
  }
}
