// Names of classes, as far as the page has to know which are the same; the server has the last word.
const plain = (name) => name.normalize("NFC").trim().replace(/\s+/g, " ").toLowerCase()

export const isSame = (one, other) => plain(one) === plain(other)
