// What can be done with the selected pictures. Each action goes to the server, which draws the page anew.
export function act(sorter, what) {
  const { request } = sorter.selection
  if (request) sorter.send({ ...what, ...request })
}

export const leaveOut = (sorter) => act(sorter, { code: sorter.data.excluded ? "take_back" : "exclude" })
export const relabel = (sorter) => act(sorter, { code: "relabel", label: sorter.find(".class").value })

// By its number: a second click, or one in another tab, does not take back what came before it.
export function undo({ send, data }) {
  send({ code: "undo", number: data.change, ids: [], every: false })
}

export function explain({ send, data, selection, large }) {
  if (!data.why || !data.items.length) return
  if (large.open) large.close() // it would lie above the answer
  send({ code: "why", ids: [data.items[selection.at].id], every: false })
}
