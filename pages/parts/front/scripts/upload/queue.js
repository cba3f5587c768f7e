// What one project sends in this tab: one delivery after the other, some files of it at once.
import { isSame } from "../cards/names.js"
import { fill } from "../words.js"
import { Meter } from "./meter.js"
import { sendFile, takeIn } from "./requests.js"
import { forget, live, randomId, remember, stopped } from "./tab.js"

const LANES = 3 // files on their way at once; more do not fill a line better
const queues = {}

export function queueOf(project) {
  queues[project] ??= new Queue(project)
  return queues[project]
}

export class Queue {
  // `views` are what shows it on the page that was drawn last, by name; `taken` and `settings` (data) are of that page
  // too; `notes` are sentences that are about no delivery.
  constructor(project) {
    Object.assign(this, { project, waiting: [], now: null, notes: [], views: {}, taken() {} })
  }

  draw() {
    for (const show of Object.values(this.views)) show()
  }

  get nWaiting() {
    return this.waiting.reduce((sum, { list }) => sum + list.length, 0)
  }

  note(text) {
    this.notes.push(text)
    this.draw()
  }

  dismissNote(text) {
    this.notes = this.notes.filter((one) => one !== text)
    this.draw()
  }

  dismiss(record) {
    forget(this.project, record.batch)
    this.draw()
  }

  // Whether files for a class are sent or wait to be.
  isSending(label) {
    return [this.now, ...this.waiting].some((each) => each && isSame(each.record.label, label))
  }

  // Sends files; `label` is the class of those that are in no folder.
  add(list, label = "") {
    const { words } = this.settings
    if (!list.length) return this.note(words.drop_nothing)
    this.notes = []
    const these = digest(JSON.stringify(list.map(({ file, name }) => [name, file.size, file.lastModified])))
    const before = stopped(this.project)
    // A refusal was read, and these files are the answer to it.
    for (const one of before) if (one.why) forget(this.project, one.batch)
    // The same files go on where they stopped; others are another delivery, as the server knows files by number.
    const same = before.find((one) => one.these === these)
    const batch = same?.batch ?? randomId()
    const record = { batch, these, n: list.length, sent: 0, label: label || (same?.label ?? "") }
    live.add(batch)
    remember(this.project, record)
    this.waiting.push({ record, list, begun: Boolean(same) })
    if (!this.now) this.work()
    this.draw()
  }

  // What had arrived when the page was left, and nobody had taken in.
  takeInArrived() {
    const arrived = stopped(this.project).filter(({ sent, n, why }) => sent >= n && !why)
    for (const record of arrived) this.finish(record, async () => {})
  }

  async work() {
    while (this.waiting.length) {
      this.now = this.waiting.shift()
      await this.finish(this.now.record, () => this.send(this.now))
      this.now = null
    }
    this.draw()
  }

  // Sends what is left to send and has it taken in; what went wrong stays with the delivery.
  async finish(record, send) {
    live.add(record.batch)
    try {
      await send()
      await takeIn(this.project, record, this.settings.words, this.settings.address)
      forget(this.project, record.batch)
      this.taken()
    } catch (error) {
      record.lost = error instanceof TypeError
      record.why = record.lost ? "" : error.message
      remember(this.project, record)
    }
    live.delete(record.batch)
    this.draw()
  }

  async send({ record, list, begun }) {
    const { words, chunk } = this.settings
    const sizes = list.map(({ file }) => file.size)
    const meter = new Meter(sizes, performance.now())
    const show = (text) => {
      this.progress = { share: meter.share, text }
      this.draw()
    }
    this.progress = { share: 0, text: words.uploading }
    await inLanes(LANES, list.length, async (number, isOver) => {
      const moved = (offset) => {
        if (isOver()) throw new Error("over") // another lane has given up
        meter.move(number, offset, performance.now())
        show(meter.describe(words))
      }
      const lost = () => show(words.upload_failed)
      await sendFile(record.batch, number, list[number], { chunk, begun, words, lost, moved })
      record.sent++
      remember(this.project, record)
    })
  }
}

// Does `action` for each number below n, some at once. After the first that fails none begins, and `isOver` is true.
export async function inLanes(nLanes, n, action) {
  let next = 0
  let over = false
  const lane = async () => {
    while (next < n) await action(next++, () => over)
  }
  try {
    await Promise.all(Array.from({ length: Math.min(nLanes, n) }, lane))
  } finally {
    over = true
    next = n
  }
}

// Short, as a tab has room for little; files that only seem to be the same are refused by the server.
export function digest(text) {
  let sum = 7
  for (let i = 0; i < text.length; i++) sum = (Math.imul(sum, 31) + text.charCodeAt(i)) | 0
  return `${text.length} ${sum}`
}

// A delivery that stopped, in a sentence or two.
export function describeStop({ n, sent, label, lost, why }, words) {
  if (sent >= n) return why || words.upload_gave_up
  const said = fill(label ? words.upload_stopped_class : words.upload_stopped, { n, sent, label })
  return [said, lost ? words.upload_gave_up : "", why || words.upload_again].filter(Boolean).join(" ")
}
