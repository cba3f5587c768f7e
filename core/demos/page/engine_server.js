// The engine of a published demo: the server that has the page also has the model.

const RETRIES = 3

export function open(front) {
  const offline = front.texts.offline

  async function post(address, blob, retries = 0) {
    let answer
    try {
      answer = await fetch(address, { method: "POST", body: blob })
    } catch {
      throw new Error(offline)
    }
    const told = await answer.json().catch(() => ({ error: offline, hint: "" }))
    if (answer.ok) return told
    if (answer.status === 429 && retries > 0) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * Number(answer.headers.get("Retry-After") ?? 1)))
      return post(address, blob, retries - 1)
    }
    throw new Error(`${told.error} ${told.hint}`.trim())
  }

  return {
    ask: (blob, { live = false } = {}) => post(live ? "./answer?live=1" : "./answer", blob, live ? RETRIES : 0),
    explain: (blob) => post("./heatmap", blob),
    report: (blob, word) => post(`./wrong?word=${encodeURIComponent(word)}`, blob),
  }
}
