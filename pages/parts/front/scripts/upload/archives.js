// Sends an archive of a project, piece by piece, and has it opened when all has arrived.
import { Meter } from "./meter.js"
import { begin, sendFile } from "./requests.js"
import { live, randomId } from "./tab.js"

// The same file goes on where it was, also after a reload or another day: an archive may have gigabytes.
const key = ({ name, size, lastModified }) => `archive ${size} ${lastModified} ${name}`

// `show` is told the share that has arrived, and a text. Throws as the requests do.
export async function sendArchive(file, { chunk, words }, show) {
  const known = localStorage.getItem(key(file))
  const batch = known ?? randomId()
  localStorage.setItem(key(file), batch)
  const meter = new Meter([file.size], performance.now())
  const moved = (offset) => {
    meter.move(0, offset, performance.now())
    show(meter.share, meter.describe(words))
  }
  const lost = () => show(meter.share, words.upload_failed)
  live.add(batch)
  show(0, words.uploading)
  try {
    await sendFile(batch, 0, { file, name: file.name }, { chunk, begun: known !== null, words, lost, moved })
    await begin("/api/open", { batch }, words)
    localStorage.removeItem(key(file)) // chosen again, it is opened again
  } finally {
    live.delete(batch)
  }
}
