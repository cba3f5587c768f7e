// Sends a file that is to become a backbone, or the weights of one, and has it checked when all has arrived.
import { sendOne } from "./one_file.js"
import { begin } from "./requests.js"
import { randomId } from "./tab.js"

// The file with weights of a folder; none where there are several.
export function onlyWeights(files) {
  const found = files.filter(({ name }) => /^[^.].*\.h5$/i.test(name))
  return found.length === 1 ? found[0] : undefined
}

// `address` below /api checks it, with what else it is to know. `show` and what is thrown are those of `sendOne`.
export async function sendWeights(file, { project, address, values, chunk, words }, show) {
  const batch = randomId()
  const check = () => begin(`/api/${address}/${project}`, { batch, ...values }, words)
  await sendOne(batch, file, { begun: false, chunk, words }, show, check)
}
