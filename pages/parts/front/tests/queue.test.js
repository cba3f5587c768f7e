import assert from "node:assert/strict"
import { beforeEach, test } from "node:test"
import { Meter } from "../scripts/upload/meter.js"
import { describeStop, digest, inLanes, Queue } from "../scripts/upload/queue.js"
import { patiently, sendFile } from "../scripts/upload/requests.js"
import { live, remember, remembered } from "../scripts/upload/tab.js"

const words = new Proxy({}, { get: (_, name) => name })
const file = (name, size = 3) => ({ name, file: Object.assign(new Blob(["x".repeat(size)]), { lastModified: 1 }) })
const answer = (body, status = 200) => new Response(JSON.stringify(body), { status })
let requests

// A server that keeps what it is sent, and answers as ours does; `refuse` may answer first.
function serve(refuse = () => {}) {
  const arrived = {}
  requests = []
  globalThis.fetch = async (address, { method = "GET", body } = {}) => {
    const url = new URL(address, "http://here")
    requests.push(`${method} ${url.pathname}`)
    const refused = refuse(method, url, requests.length)
    if (refused) return refused
    if (url.pathname.startsWith("/api/intake")) return answer({})
    const had = arrived[url.pathname] ?? 0
    arrived[url.pathname] = had + (body?.size ?? 0)
    return answer({
      offset: arrived[url.pathname],
      complete: arrived[url.pathname] === Number(url.searchParams.get("size")),
    })
  }
}

function storage() {
  const kept = {}
  return {
    getItem: (key) => kept[key] ?? null,
    setItem: (key, value) => {
      kept[key] = value
    },
  }
}

beforeEach(() => {
  globalThis.sessionStorage = storage()
  live.clear()
  serve()
})

const ended = (queue) =>
  new Promise((done) => {
    queue.views.test = () => {
      if (!queue.now && !live.size) done()
    }
  })

function newQueue() {
  const queue = new Queue("p")
  queue.settings = { words, chunk: 2 }
  return queue
}

test("a delivery is sent piece by piece, taken in, and forgotten", async () => {
  const queue = newQueue()
  let taken = 0
  queue.taken = () => taken++
  const end = ended(queue)
  queue.add([file("a"), file("b", 1)])
  await end
  assert.deepEqual(requests.filter((one) => one.endsWith("/0")).length, 2) // three bytes in pieces of two
  assert.equal(requests.at(-1), "POST /api/intake/p")
  assert.deepEqual(remembered("p"), [])
  assert.equal(taken, 1)
})

test("a second delivery waits for the first", async () => {
  const queue = newQueue()
  const end = ended(queue)
  queue.add([file("a")])
  queue.add([file("b"), file("c")])
  assert.equal(queue.nWaiting, 2)
  await end
  const kinds = requests.map((one) => one.split(" ")[0])
  assert.deepEqual(kinds, ["PUT", "PUT", "POST", "PUT", "PUT", "PUT", "PUT", "POST"])
})

test("each delivery goes to the class of the place where its files were put", async () => {
  const labels = []
  const queue = newQueue()
  const end = ended(queue)
  const { fetch } = globalThis
  globalThis.fetch = (url, options) => {
    if (options.method === "POST") labels.push(JSON.parse(options.body).label)
    return fetch(url, options)
  }
  queue.add([file("a")], "cats")
  queue.add([file("b")], "dogs")
  assert.deepEqual([queue.isSending("Cats "), queue.isSending("dogs"), queue.isSending("cows")], [true, true, false])
  queue.add([file("c")])
  await end
  assert.deepEqual([labels, queue.isSending("dogs")], [["cats", "dogs", ""], false])
})

test("what the server refuses stays with its sentence until the next files come", async () => {
  serve((method) => (method === "POST" ? answer({ error: "Too large.", hint: "Send less." }, 413) : undefined))
  const queue = newQueue()
  let end = ended(queue)
  queue.add([file("a")])
  await end
  const [{ batch, why, sent, n }] = remembered("p")
  assert.deepEqual([why, sent, n], ["Too large. Send less.", 1, 1])
  serve()
  end = ended(queue)
  queue.add([file("b")])
  await end
  assert.ok(!requests.some((one) => one.includes(batch)))
  assert.deepEqual(remembered("p"), [])
})

test("the same files go on under their batch, after the server was asked what it has", async () => {
  const list = [file("a", 1)]
  const these = digest(JSON.stringify(list.map(({ file: one, name }) => [name, one.size, one.lastModified])))
  remember("p", { batch: "old", these, n: 1, sent: 0, label: "cats" })
  const queue = newQueue()
  const end = ended(queue)
  queue.add(list)
  await end
  assert.deepEqual(requests.slice(0, 2), ["GET /api/upload/old/0", "PUT /api/upload/old/0"])
})

test("what arrived before the page was left is taken in without being sent again", async () => {
  remember("p", { batch: "old", these: "", n: 2, sent: 2, label: "" })
  remember("p", { batch: "half", these: "", n: 2, sent: 1, label: "" })
  const queue = newQueue()
  const end = ended(queue)
  queue.takeInArrived()
  await end
  assert.deepEqual(requests, ["POST /api/intake/p"])
  assert.deepEqual(
    remembered("p").map(({ batch }) => batch),
    ["half"],
  )
})

test("an empty drop is told and sends nothing", () => {
  const queue = newQueue()
  queue.add([])
  assert.deepEqual([queue.notes, requests], [["drop_nothing"], []])
  queue.dismissNote("drop_nothing")
  assert.deepEqual(queue.notes, [])
})

test("a lost connection is tried again from the last byte that the server has", async () => {
  serve((method, _, n) => {
    if (method === "PUT" && n === 2) throw new TypeError("cut off")
  })
  let lost = 0
  const moves = []
  const how = { chunk: 2, begun: false, words, lost: () => lost++, moved: (offset) => moves.push(offset) }
  await sendFile("batch", 0, file("a", 4), how)
  assert.deepEqual(
    requests,
    ["PUT", "PUT", "GET", "PUT"].map((method) => `${method} /api/upload/batch/0`),
  )
  assert.deepEqual([lost, moves], [1, [2, 4]])
})

test("after some tries a lost connection is given up, and a refusal at once", async () => {
  const tries = async (error) => {
    let n = 0
    const action = async () => {
      n++
      throw error
    }
    await assert.rejects(
      patiently(action, () => {}, [0, 0]),
      error,
    )
    return n
  }
  assert.equal(await tries(new TypeError("lost")), 3)
  assert.equal(await tries(new Error("refused")), 1)
})

test("an answer that is not of this server is told as such", async () => {
  serve(() => new Response("<html>", { status: 200 }))
  const how = { chunk: 2, begun: false, words, lost() {}, moved() {} }
  await assert.rejects(sendFile("batch", 0, file("a"), how), new Error("upload_foreign"))
})

test("at most so many files are on their way at once, and all are sent once", async () => {
  const [done, running] = [[], new Set()]
  let most = 0
  await inLanes(3, 10, async (number) => {
    running.add(number)
    most = Math.max(most, running.size)
    await new Promise((next) => setImmediate(next))
    running.delete(number)
    done.push(number)
  })
  assert.equal(most, 3)
  assert.deepEqual(
    done.sort((a, b) => a - b),
    [...Array(10).keys()],
  )
})

test("after the first failure no other file begins, and the others are told that it is over", async () => {
  const begun = []
  let over
  const failing = inLanes(2, 10, async (number, isOver) => {
    begun.push(number)
    over = isOver
    if (number === 1) throw new Error("refused")
    await new Promise((next) => setTimeout(next, 1))
  })
  await assert.rejects(failing, new Error("refused"))
  await new Promise((next) => setTimeout(next, 5))
  assert.deepEqual(begun, [0, 1])
  assert.equal(over(), true)
})

test("the speed is the mean of the last five seconds", () => {
  const meter = new Meter([6e6, 4e6], 0)
  meter.move(0, 1e6, 1000)
  assert.equal(meter.rate, 1e6)
  meter.move(0, 6e6, 6000)
  assert.equal(meter.rate, 1e6)
  meter.move(1, 2e6, 7000)
  assert.deepEqual([meter.rate, meter.share], [2e6, 0.8])
  const text = "uploading 8.0 / 10 MB, 2.0 MB/s, 1 s left"
  assert.equal(meter.describe(words), text)
})

test("a meter of nothing is full", () => {
  assert.equal(new Meter([], 0).share, 1)
})

for (const [record, said] of [
  [{ n: 5, sent: 2, label: "", lost: false, why: "" }, "2 of 5. Again."],
  [{ n: 5, sent: 2, label: "cats", lost: false, why: "Full." }, "2 of 5 to cats. Full."],
  [{ n: 5, sent: 2, label: "", lost: true, why: "" }, "2 of 5. Lost. Again."],
  [{ n: 5, sent: 5, label: "", lost: false, why: "No." }, "No."],
  [{ n: 5, sent: 5, label: "", lost: true, why: "" }, "Lost."],
]) {
  test(`a stopped delivery is told: ${said}`, () => {
    const sentences = {
      upload_stopped: "{sent} of {n}.",
      upload_stopped_class: "{sent} of {n} to {label}.",
      upload_gave_up: "Lost.",
      upload_again: "Again.",
    }
    assert.equal(describeStop(record, sentences), said)
  })
}
