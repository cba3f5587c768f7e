// The requests of an upload: files go piece by piece and on after a lost connection, and are taken in when all arrived.
const PAUSES = [500, 1000, 2000, 4000, 8000] // ms between tries after a lost connection

const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

// What the server says. Its refusals are an Error with a sentence; a lost connection is a TypeError, as in fetch.
async function ask(url, options, words) {
  const answer = await fetch(url, options)
  const said = await answer.json().catch((error) => {
    if (error instanceof SyntaxError && answer.status < 500) throw new Error(words.upload_foreign)
    throw new TypeError("no answer") // cut off, or of something whose server is away
  })
  if (!answer.ok && answer.status !== 409) throw new Error([said.error, said.hint].filter(Boolean).join(" "))
  return said
}

// Tries again for a while when the connection is lost; `action` is told whether it is tried again.
export async function patiently(action, lost, pauses = PAUSES) {
  for (let tries = 0; ; tries++) {
    try {
      return await action(tries > 0)
    } catch (error) {
      if (!(error instanceof TypeError) || tries >= pauses.length) throw error
      lost()
      await sleep(pauses[tries])
    }
  }
}

// Sends one file from the last byte that the server has, which it tells where some may be there already (`begun`).
export async function sendFile(batch, number, { file, name }, { chunk, begun, words, lost, moved }) {
  const url = `/api/upload/${batch}/${number}`
  let offset = 0
  let unsure = begun
  for (let complete = false; !complete; ) {
    const said = await patiently(async (again) => {
      if (unsure || again) offset = (await ask(url, {}, words)).offset
      unsure = false
      const query = new URLSearchParams({ offset, size: file.size, name })
      return ask(`${url}?${query}`, { method: "PUT", body: file.slice(offset, offset + chunk) }, words)
    }, lost)
    offset = said.offset
    complete = said.complete
    moved(offset)
  }
}

// Has a delivery taken in whose files have all arrived, or sent to another address. Asked for twice, it is taken in once.
export function takeIn(project, { batch, label, n }, words, address = `/api/intake/${project}`) {
  return begin(address, { batch, label, n }, words)
}

// Asks the server to begin something, which it does once however often it is asked.
export async function begin(url, values, words) {
  const headers = { "Content-Type": "application/json" }
  const options = { method: "POST", headers, body: JSON.stringify(values) }
  await patiently(
    () => ask(url, options, words),
    () => {},
  )
}
