// How the drop zone and the camera send: piece by piece, on after a lost connection, and whole before it is taken in.
// Both go on while another page of the app is looked at. What is on its way is remembered for as long as the tab is
// open, so that after a reload it can be told what came, and gone on with.
const PAUSES = [500, 1000, 2000, 4000, 8000]  // ms between tries after a lost connection
const hex = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("")
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

// Of this tab: the batches on their way now, and what the drop zone of each project does.
const ours = (globalThis.headstart ??= { live: new Set(), zones: {} })
ours.leaving ??= (addEventListener("beforeunload", (e) => { if (ours.live.size) e.preventDefault() }), true)

// The deliveries of a project that are not taken in yet: batch, label (class of loose files), n files, of which sent.
const remembered = (project) => JSON.parse(sessionStorage.getItem(`uploads-${project}`) ?? "[]")
const keep = (project, records) => sessionStorage.setItem(`uploads-${project}`, JSON.stringify(records))
const forget = (project, batch) => keep(project, remembered(project).filter((one) => one.batch !== batch))
function remember(project, record) {
  const records = remembered(project), at = records.findIndex((one) => one.batch === record.batch)
  records.splice(at < 0 ? records.length : at, 1, record)
  keep(project, records)
}

// What the server says. Its refusals are an Error with a sentence; a lost connection is a TypeError, as in fetch.
async function ask(url, options, words) {
  const answer = await fetch(url, options)
  let said
  try {
    said = await answer.json()
  } catch (error) {
    if (error instanceof SyntaxError && answer.status < 500) throw new Error(words.upload_foreign)
    throw new TypeError("no answer")  // cut off, or of something whose server is away
  }
  if (!answer.ok && answer.status !== 409) throw new Error([said.error, said.hint].filter(Boolean).join(" "))
  return said
}

// Tries again for a while when the connection is lost.
async function patiently(action, lost) {
  for (let tries = 0; ; tries++) {
    try {
      return await action(tries > 0)
    } catch (error) {
      if (!(error instanceof TypeError) || tries >= PAUSES.length) throw error
      lost()
      await sleep(PAUSES[tries])
    }
  }
}

// Sends one file from the last byte that the server has, which it tells where some may be there already (`begun`).
async function sendFile(batch, number, { file, name }, { chunk, begun, words, lost, moved }) {
  const url = `/api/upload/${batch}/${number}`
  let offset = 0, unsure = begun, said
  do {
    said = await patiently(async (again) => {
      if (unsure || again) offset = (await ask(url, {}, words)).offset
      unsure = false
      const query = new URLSearchParams({ offset, size: file.size, name })
      return ask(`${url}?${query}`, { method: "PUT", body: file.slice(offset, offset + chunk) }, words)
    }, lost)
    offset = said.offset
    moved(offset)
  } while (!said.complete)
}

// Has a delivery taken in whose files have all arrived. Asked for twice, it is taken in once.
async function takeIn(project, { batch, label, n }, words, lost) {
  const body = JSON.stringify({ batch, label, n })
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body }
  await patiently(() => ask(`/api/intake/${project}`, options, words), lost)
  forget(project, batch)
}
