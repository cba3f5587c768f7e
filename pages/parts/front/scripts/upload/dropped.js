// The files that were dropped or picked: each with its name, those of folders with their path.

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
