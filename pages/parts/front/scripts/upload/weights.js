// Sends the weights of a backbone, piece by piece, and has them checked when all has arrived.
import { Meter } from "./meter.js"
import { begin, sendFile } from "./requests.js"
import { live, randomId } from "./tab.js"

// The file with weights of a folder; none where there are several.
export function onlyWeights(files) {
  const found = files.filter(({ name }) => /^[^.].*\.h5$/i.test(name))
  return found.length === 1 ? found[0] : undefined
}

// `show` is told the share that has arrived, and a text. Throws as the requests do.
export async function sendWeights(file, { project, backbone, chunk, words }, show) {
  const batch = randomId()
  const meter = new Meter([file.size], performance.now())
  const moved = (offset) => {
    meter.move(0, offset, performance.now())
    show(meter.share, meter.describe(words))
  }
  const lost = () => show(meter.share, words.upload_failed)
  live.add(batch)
  show(0, words.uploading)
  try {
    await sendFile(batch, 0, { file, name: file.name }, { chunk, begun: false, words, lost, moved })
    await begin(`/api/weights/${project}`, { batch, backbone }, words)
  } finally {
    live.delete(batch)
  }
}
