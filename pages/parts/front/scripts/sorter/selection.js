// What is selected in a listing of pictures, and which picture the keys are at.
export class Selection {
  constructor() {
    Object.assign(this, { listing: null, ids: [], chosen: new Set(), every: false, at: 0, anchor: 0 })
  }

  // Goes on with the pictures of a listing. Another listing begins anew, and where `stay` is set, at the same place.
  open(listing, ids, stay) {
    this.ids = ids
    if (this.listing === listing) return false
    const at = stay ? Math.max(0, Math.min(this.at, ids.length - 1)) : 0
    Object.assign(this, { listing, chosen: new Set(), every: false, at, anchor: at })
    return true
  }

  has(i) {
    return this.every || this.chosen.has(this.ids[i])
  }

  // How many pictures are selected, where all pages together have `total`.
  count(total) {
    return this.every ? total : this.chosen.size
  }

  get isWholePage() {
    return this.every || this.chosen.size === this.ids.length
  }

  moveTo(i) {
    const exists = i >= 0 && i < this.ids.length
    if (exists) this.at = i
    return exists
  }

  mark(i, on) {
    if (on) this.chosen.add(this.ids[i])
    else this.chosen.delete(this.ids[i])
  }

  // Selects a picture or takes it out; with `range`, selects all from the last one that was touched.
  toggle(i, range) {
    if (this.every) {
      this.every = false
      this.chosen = new Set(this.ids)
    }
    if (range) {
      for (let j = Math.min(this.anchor, i); j <= Math.max(this.anchor, i); j++) this.mark(j, true)
    } else {
      this.mark(i, !this.chosen.has(this.ids[i]))
      this.anchor = i
    }
    this.at = i
  }

  selectPage() {
    for (const id of this.ids) this.chosen.add(id)
  }

  selectEvery() {
    this.every = true
  }

  clear() {
    this.chosen.clear()
    this.every = false
  }

  // What the server is told: the selected pictures, or that all of the listing are meant; null when none is selected.
  get request() {
    if (!this.every && !this.chosen.size) return null
    return { ids: this.every ? [] : [...this.chosen], every: this.every }
  }
}
