// What this tab sends, and what it remembers of it. Sending goes on while another page of the app is looked at. Records
// last as long as the tab is open, so that after a reload it can be said what arrived, and sending can go on.
export const live = new Set() // the deliveries that are being sent now

export const warnBeforeLeaving = () => addEventListener("beforeunload", warn)

function warn(event) {
  if (live.size) event.preventDefault()
}

// Not randomUUID, which pages over plain http do not have.
export function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")
}

// The deliveries of a project that are not taken in yet: batch, label (class of loose files), n files, of which sent.
export const remembered = (project) => JSON.parse(sessionStorage.getItem(key(project)) ?? "[]")

// Those of them that stopped.
export const stopped = (project) => remembered(project).filter(({ batch }) => !live.has(batch))

export function remember(project, record) {
  const records = remembered(project)
  const at = records.findIndex(({ batch }) => batch === record.batch)
  records.splice(at < 0 ? records.length : at, 1, record)
  keep(project, records)
}

export function forget(project, batch) {
  const others = remembered(project).filter((record) => record.batch !== batch)
  keep(project, others)
}

const key = (project) => `uploads-${project}`
const keep = (project, records) => sessionStorage.setItem(key(project), JSON.stringify(records))
