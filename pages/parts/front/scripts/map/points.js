// The pictures of a map as arrays of numbers, one entry for each picture, and what can be asked about them.
export const NONE = 65535 // in place of a class: no label (left out) or no prediction (training picture)

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
const shorts = (text) => new Uint16Array(bytes(text).buffer)

// Places between 0 and 1: x and y of the first point, of the second, and so on.
export const unpackPlaces = (text) => Float32Array.from(shorts(text), (value) => value / 65535)

export class Points {
  constructor({ ids, label, predicted, part, sure }) {
    this.ids = bytes(ids)
    this.label = shorts(label)
    this.predicted = shorts(predicted)
    this.part = bytes(part)
    this.sure = bytes(sure) // confidence in percent
    this.size = this.label.length
  }

  isShown(i) {
    return this.label[i] !== NONE
  }

  isTested(i) {
    return this.predicted[i] !== NONE
  }

  isWrong(i) {
    return this.isTested(i) && this.predicted[i] !== this.label[i]
  }

  // The numbers of the shown points that pass a test.
  where(test) {
    const passed = []
    for (let i = 0; i < this.size; i++) if (this.isShown(i) && test(i)) passed.push(i)
    return passed
  }

  count(test) {
    return this.where(test).length
  }

  classSizes(nClasses) {
    const sizes = new Uint32Array(nClasses)
    for (let i = 0; i < this.size; i++) if (this.isShown(i)) sizes[this.label[i]]++
    return sizes
  }

  // The sha256 of a picture as text.
  id(i) {
    return Array.from(this.ids.subarray(32 * i, 32 * i + 32), (byte) => byte.toString(16).padStart(2, "0")).join("")
  }

  // Of a region the rarest classes come first, as they may not belong there, and wrong predictions before right ones.
  rarestFirst(indices) {
    const sizes = new Map()
    for (const i of indices) sizes.set(this.label[i], (sizes.get(this.label[i]) ?? 0) + 1)
    const size = (i) => sizes.get(this.label[i])
    return [...indices].sort((a, b) => size(a) - size(b) || this.isWrong(b) - this.isWrong(a) || a - b)
  }
}
