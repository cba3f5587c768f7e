// Sends an archive of a project, and has it opened when all has arrived.
import { sendOne } from "./one_file.js"
import { begin } from "./requests.js"
import { randomId } from "./tab.js"

// The same file goes on where it was, also after a reload or another day: an archive may have gigabytes.
const key = ({ name, size, lastModified }) => `archive ${size} ${lastModified} ${name}`

// `show` and what is thrown are those of `sendOne`.
export async function sendArchive(file, { chunk, words }, show) {
  const known = localStorage.getItem(key(file))
  const batch = known ?? randomId()
  localStorage.setItem(key(file), batch)
  await sendOne(batch, file, { begun: known !== null, chunk, words }, show, async () => {
    await begin("/api/open", { batch }, words)
    localStorage.removeItem(key(file)) // chosen again, it is opened again
  })
}
