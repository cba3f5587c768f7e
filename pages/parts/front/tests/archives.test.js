import assert from "node:assert/strict"
import { beforeEach, test } from "node:test"
import { sendArchive } from "../scripts/upload/archives.js"
import { live } from "../scripts/upload/tab.js"

const words = new Proxy({}, { get: (_, name) => name })
const file = Object.assign(new Blob(["archive"]), { name: "p.headstart.zip", lastModified: 1 })
const data = { chunk: 4, words }
let requests
let kept

// A server that refuses what comes after `most` bytes, and keeps what it has.
function serve(most) {
  requests = []
  globalThis.fetch = async (address, { method = "GET", body } = {}) => {
    const url = new URL(address, "http://here")
    const offset = url.searchParams.get("offset")
    requests.push([method, url.pathname, method === "POST" ? JSON.parse(body) : offset])
    if (method === "POST") return new Response("{}")
    if (method === "PUT" && Number(offset) >= most) return new Response('{"error": "Full."}', { status: 413 })
    if (method === "PUT") kept = Number(offset) + body.size
    return new Response(JSON.stringify({ offset: kept, complete: kept === file.size }))
  }
}

beforeEach(() => {
  live.clear()
  kept = 0
  const store = new Map()
  globalThis.localStorage = {
    getItem: (key) => store.get(key) ?? null,
    setItem: (key, value) => store.set(key, value),
    removeItem: (key) => store.delete(key),
  }
})

test("an archive that was cut off goes on where it was, and is opened once all of it is there", async () => {
  serve(4)
  await assert.rejects(
    sendArchive(file, data, () => {}),
    new Error("Full."),
  )
  const batch = requests[0][1].split("/").at(-2)
  serve(100)
  await sendArchive(file, data, () => {})
  const path = `/api/upload/${batch}/0`
  assert.deepEqual(requests, [
    ["GET", path, null],
    ["PUT", path, "4"],
    ["POST", "/api/open", { batch }],
  ])
  assert.equal(live.size, 0)
})

test("one that was opened is opened again as another", async () => {
  serve(100)
  await sendArchive(file, data, () => {})
  const first = requests.at(-1)
  serve(100)
  await sendArchive(file, data, () => {})
  assert.notDeepEqual(requests.at(-1), first)
})
