// One file that goes to the server by itself, piece by piece: the weights of a backbone, or the archive of a project.
import { Meter } from "./meter.js"
import { sendFile } from "./requests.js"
import { live } from "./tab.js"

// `begun`: some of the file may be there already. `show` is told the share that has arrived, and a text; `finish` does
// what follows when all has. Throws as the requests do.
export async function sendOne(batch, file, { begun, chunk, words }, show, finish) {
  const meter = new Meter([file.size], performance.now())
  const moved = (offset) => {
    meter.move(0, offset, performance.now())
    show(meter.share, meter.describe(words))
  }
  const lost = () => show(meter.share, words.upload_failed)
  live.add(batch)
  show(0, words.uploading)
  try {
    await sendFile(batch, 0, { file, name: file.name }, { chunk, begun, words, lost, moved })
    await finish()
  } finally {
    live.delete(batch)
  }
}

// What a field is while nothing is sent: `share` and `text` are of what is sent now, or was refused last.
export const idle = () => ({ share: null, text: "", draw() {}, done() {} })

export function drawProgress(find, { share, text }) {
  find("bar").hidden = share === null
  find("bar").value = share ?? 0
  find("line").textContent = text
}

// Sends by `send`, which is given `show`, and tells in the field how that goes and ends.
export async function attempt(field, words, send) {
  const show = (share, text) => {
    Object.assign(field, { share, text })
    field.draw()
  }
  try {
    await send(show)
    show(null, "")
    field.done()
  } catch (error) {
    show(null, error instanceof TypeError ? words.upload_gave_up : error.message)
  }
}
