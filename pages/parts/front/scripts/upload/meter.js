// How far a delivery is: bytes, speed, and the time that is left.
const WINDOW = 5000 // ms of which the speed is the mean

const mb = (n) => {
  const digits = n < 1e7 ? 1 : 0
  const exactly = { minimumFractionDigits: digits, maximumFractionDigits: digits }
  return (n / 1e6).toLocaleString(globalThis.document?.documentElement.lang || "en", exactly)
}

export class Meter {
  constructor(sizes, now) {
    this.total = sizes.reduce((sum, size) => sum + size, 0)
    this.arrived = sizes.map(() => 0)
    this.sum = 0
    this.marks = [[now, 0]]
  }

  get share() {
    return this.total ? this.sum / this.total : 1
  }

  // A file has arrived up to an offset.
  move(number, offset, now) {
    this.sum += offset - this.arrived[number]
    this.arrived[number] = offset
    this.marks.push([now, this.sum])
    while (this.marks.length > 2 && now - this.marks[0][0] > WINDOW) this.marks.shift()
  }

  // Bytes a second.
  get rate() {
    const [[before, had], [now]] = [this.marks[0], this.marks.at(-1)]
    return (this.sum - had) / Math.max((now - before) / 1000, 0.1)
  }

  describe(words) {
    const left = this.rate > 0 ? Math.ceil((this.total - this.sum) / this.rate) : 0
    const time = left < 90 ? `${left} s` : `${Math.round(left / 60)} min`
    return `${words.uploading} ${mb(this.sum)} / ${mb(this.total)} MB, ${mb(this.rate)} MB/s, ${time} ${words.left}`
  }
}
