// Points by the thousand: drawn by WebGL 2 in one call, or on a plain canvas where there is none. No library: those that
// draw with WebGL make functions out of texts, which our content security policy does not let run.
// Colors, layouts, zoom and what is chosen change here without a rerun; only a choice of pictures goes to the server.
const states = new WeakMap(), kept = new Map()
const PAD = 22, NEAREST = 24, REACH_PX = 14, MORPH_MS = 500, MOST = 10
const HIDDEN = 65535, FADED = 76, FULL = 235
const DISC = 0, CROSS = 1

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
const shorts = (text) => new Uint16Array(bytes(text).buffer)
const rgb = (text) => {
  const [r, g, b] = text.trim().startsWith("#")
    ? [1, 3, 5].map((i) => parseInt(text.trim().slice(i, i + 2), 16)) : text.match(/\d+/g).map(Number)
  return [r, g, b]
}
const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key])

const VERTEX = `#version 300 es
in vec2 place; in vec4 color; in float look;
uniform vec2 center, scale; uniform float size;
out vec4 tint; flat out float kind;
void main() {
  tint = color; kind = look;
  gl_Position = vec4((place - center) * scale, 0.0, 1.0);
  gl_PointSize = color.a == 0.0 ? 0.0 : size * (look > 1.5 ? 2.2 : look > 0.5 ? 1.7 : 1.0);
}`
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 tint; flat in float kind; uniform vec3 ink; out vec4 result;
void main() {
  vec2 at = gl_PointCoord * 2.0 - 1.0;
  float chosen = step(1.5, kind), crossed = mod(kind, 2.0), r = length(at);
  vec2 inner = at * (1.0 + 0.35 * chosen);
  float disc = 1.0 - smoothstep(0.75, 0.95, length(inner));
  float arms = min(abs(inner.x - inner.y), abs(inner.x + inner.y));
  float cross = (1.0 - smoothstep(0.28, 0.46, arms)) * (1.0 - smoothstep(0.9, 1.0, max(abs(inner.x), abs(inner.y))));
  float ring = chosen * smoothstep(0.72, 0.8, r) * (1.0 - smoothstep(0.9, 1.0, r));
  float body = mix(disc, cross, crossed) * tint.a;
  float a = max(body, ring);
  result = vec4(mix(tint.rgb, ink, ring) * a, a);
}`

// Both answer a function that draws (places in 0..1, colors, looks, order, view) onto a canvas.
function webgl(canvas) {
  const gl = canvas.getContext("webgl2", { premultipliedAlpha: true, antialias: false })
  if (!gl) return null
  const program = gl.createProgram()
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind)
    gl.shaderSource(shader, text)
    gl.compileShader(shader)
    gl.attachShader(program, shader)
  }
  gl.linkProgram(program)
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null
  gl.useProgram(program)
  gl.enable(gl.BLEND)
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA)
  const put = (name, size, type, normalized) => {
    const buffer = gl.createBuffer(), where = gl.getAttribLocation(program, name)
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer)
    gl.enableVertexAttribArray(where)
    gl.vertexAttribPointer(where, size, type, normalized, 0, 0)
    return (values) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer)
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW)
    }
  }
  const place = put("place", 2, gl.FLOAT, false), color = put("color", 4, gl.UNSIGNED_BYTE, true)
  const look = put("look", 1, gl.UNSIGNED_BYTE, false)
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer())
  const uniform = (name) => gl.getUniformLocation(program, name)
  const [center, scale, size, ink] = ["center", "scale", "size", "ink"].map(uniform)
  return (scene, view, fresh) => {
    if (fresh.places) place(scene.places)
    if (fresh.looks) {
      color(scene.colors)
      look(scene.looks)
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, scene.order, gl.DYNAMIC_DRAW)
    }
    gl.viewport(0, 0, canvas.width, canvas.height)
    gl.clearColor(0, 0, 0, 0)
    gl.clear(gl.COLOR_BUFFER_BIT)
    gl.uniform2f(center, view.x, view.y)
    gl.uniform2f(scale, 2 * view.px / view.w, -2 * view.px / view.h)
    gl.uniform1f(size, view.size * view.ratio)
    gl.uniform3f(ink, ...scene.ink.map((value) => value / 255))
    gl.drawElements(gl.POINTS, scene.order.length, gl.UNSIGNED_INT, 0)
  }
}

function plain(canvas) {
  const pen = canvas.getContext("2d")
  return (scene, view) => {
    pen.setTransform(view.ratio, 0, 0, view.ratio, 0, 0)
    pen.clearRect(0, 0, view.w, view.h)
    pen.lineWidth = 2
    for (const i of scene.order) {
      const x = (scene.places[2 * i] - view.x) * view.px + view.w / 2
      const y = (scene.places[2 * i + 1] - view.y) * view.px + view.h / 2
      if (x < -9 || y < -9 || x > view.w + 9 || y > view.h + 9) continue
      const [r, g, b, a] = scene.colors.subarray(4 * i, 4 * i + 4), look = scene.looks[i], half = view.size / 2
      pen.fillStyle = pen.strokeStyle = `rgb(${r} ${g} ${b} / ${a / 255})`
      if (look % 2 === CROSS) {
        const arm = 1.4 * half
        pen.beginPath()
        pen.moveTo(x - arm, y - arm); pen.lineTo(x + arm, y + arm)
        pen.moveTo(x + arm, y - arm); pen.lineTo(x - arm, y + arm)
        pen.stroke()
      } else if (half < 3) pen.fillRect(x - half, y - half, 2 * half, 2 * half)
      else { pen.beginPath(); pen.arc(x, y, half, 0, 7); pen.fill() }
      if (look > 1) {
        pen.strokeStyle = css(scene.ink)
        pen.beginPath(); pen.arc(x, y, 1.7 * half + 1, 0, 7); pen.stroke()
      }
    }
  }
}

const inside = (x, y, line) => {
  let within = false
  for (let i = 0, j = line.length - 1; i < line.length; j = i++) {
    const [ax, ay] = line[i], [bx, by] = line[j]
    if (ay > y !== by > y && x < (bx - ax) * (y - ay) / (by - ay) + ax) within = !within
  }
  return within
}

// What one has set and chosen stays with the run; what is drawn on, with the element, which the page may make anew.
const settings = () => ({
  view: { x: 0.5, y: 0.5, zoom: 1 }, tool: matchMedia("(pointer: coarse)").matches ? "move" : "lasso", color: "class",
  layout: "", picked: null, chosen: new Set(),
})
const begin = () => ({ fingers: new Map(), line: [], fresh: { places: true, looks: true }, hovered: -1 })

export default function ({ data, parentElement, setTriggerValue }) {
  const find = (name) => parentElement.querySelector(name)
  const state = states.get(parentElement) ?? begin(), look = kept.get(data.run) ?? settings()
  states.set(parentElement, state)
  kept.set(data.run, look)
  const frame = find(".frame"), over = find(".over"), tip = find(".tip"), words = data.words
  const style = getComputedStyle(frame)
  const theme = (name) => style.getPropertyValue(name)
  if (state.packed !== data.packed) {
    state.packed = data.packed
    const { ids, label, predicted, part, sure } = data.packed
    Object.assign(state, { ids: bytes(ids), part: bytes(part), sure: bytes(sure), places: {} })
    Object.assign(state, { label: shorts(label), predicted: shorts(predicted) })
  }
  for (const [name, text] of Object.entries(data.layouts)) {
    state.places[name] ??= Float32Array.from(shorts(text), (value) => value / 65535)
  }
  const n = state.label.length, names = Object.keys(data.layouts)
  const shown = (i) => state.label[i] !== HIDDEN
  const tested = (i) => state.predicted[i] !== HIDDEN
  const wrong = (i) => tested(i) && state.predicted[i] !== state.label[i]
  if (!names.includes(look.layout)) look.layout = names.at(-1)

  // -- what is drawn: a color and a look for each point, the important ones last
  const palette = theme("--st-chart-categorical-colors").split(/,(?![^(]*\))/).map(rgb)
  const ramp = theme("--st-chart-sequential-colors").split(/,(?![^(]*\))/).map(rgb).slice(2)
  const ink = rgb(theme("--st-text-color")), grey = data.dark ? [125, 121, 114] : [150, 146, 138]
  const counts = new Uint32Array(data.classes.length)
  for (let i = 0; i < n; i++) if (shown(i)) counts[state.label[i]]++
  const many = data.classes.length > MOST
  const present = data.classes.map((_, k) => k).filter((k) => counts[k])
  const largest = () => [...present].sort((a, b) => counts[b] - counts[a]).slice(0, MOST)
  // Of many classes a few have a color, each in a place of its own, so that none changes color with another.
  if (look.classes !== data.classes.join("\n")) look.picked = null  // numbers of other classes
  look.classes = data.classes.join("\n")
  look.picked ??= many ? largest() : []
  const pick = (k) => {
    const own = look.picked.indexOf(k), free = look.picked.indexOf(-1)
    if (!many) look.picked = own < 0 ? [...look.picked, k] : look.picked.filter((other) => other !== k)
    else if (own >= 0) look.picked[own] = -1
    else look.picked[free < 0 ? MOST - 1 : free] = k
  }
  const slot = (k) => (many ? look.picked.indexOf(k) : k)
  const COLORS = {
    class: (i) => (slot(state.label[i]) < 0 ? grey : palette[slot(state.label[i]) % palette.length]),
    part: (i) => palette[state.part[i]],
    outcome: (i) => (!tested(i) ? grey : wrong(i) ? palette[1] : palette[0]),
    confidence: (i) => (tested(i) ? ramp[Math.min(ramp.length - 1, Math.floor(state.sure[i] / 100 * ramp.length))] : grey),
  }
  const dim = (i) => {
    if (look.color === "class") return (many || look.picked.length) && !look.picked.includes(state.label[i])
    return look.color !== "part" && !tested(i)
  }
  const scene = { places: state.current, colors: new Uint8Array(4 * n), looks: new Uint8Array(n), order: new Uint32Array(0), ink }
  const dress = () => {
    const low = [], high = [], top = []
    for (let i = 0; i < n; i++) {
      if (!shown(i)) continue
      const faded = dim(i), crossed = wrong(i) && look.color !== "part", chosen = look.chosen.has(i)
      scene.colors.set([...COLORS[look.color](i), faded && !chosen ? FADED : FULL], 4 * i)
      scene.looks[i] = (crossed ? CROSS : DISC) + (chosen ? 2 : 0)
      ;(chosen ? top : crossed && !faded ? high : low).push(i)
    }
    scene.order = Uint32Array.from(low.concat(high, top))
    state.fresh.looks = true
    paint()
  }

  // -- where it is drawn
  const view = () => {
    const w = frame.clientWidth, h = frame.clientHeight, px = (Math.min(w, h) - 2 * PAD) * look.view.zoom
    const size = Math.min(11, Math.max(3, 40 / Math.sqrt(n / 40)) * Math.min(2.2, Math.sqrt(look.view.zoom)))
    return { w, h, px, x: look.view.x, y: look.view.y, size, ratio: devicePixelRatio || 1 }
  }
  const paint = () => {
    if (state.asked) return
    state.asked = requestAnimationFrame(() => { state.asked = 0; state.draw() })
  }
  state.draw = () => {
    const at = view(), canvas = find(".points")
    if (!at.w) return
    const [width, height] = [at.w * at.ratio, at.h * at.ratio].map(Math.round)
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
    if (!state.pen) {
      state.pen = webgl(canvas)
      canvas.dataset.by = state.pen ? "webgl" : "canvas"
      if (!state.pen) {
        // A canvas that was asked for WebGL may not draw otherwise.
        const other = canvas.cloneNode()
        canvas.replaceWith(other)
        state.pen = plain(other)
      } else canvas.onwebglcontextlost = () => {
        canvas.replaceWith(canvas.cloneNode())
        Object.assign(state, { pen: null, fresh: { places: true, looks: true } })
        paint()
      }
    }
    scene.places = state.current
    state.pen(scene, at, state.fresh)
    state.fresh = { places: false, looks: false }
    over.firstElementChild.setAttribute("points", state.line.map((point) => point.join()).join(" "))
    frame.dataset.drawn = `${look.layout} ${scene.order.length}`
  }
  const placing = (at) => (i) =>
    [(state.current[2 * i] - at.x) * at.px + at.w / 2, (state.current[2 * i + 1] - at.y) * at.px + at.h / 2]
  const lay = (name) => {
    const from = state.current, to = state.places[name]
    look.layout = name
    const still = !from || from.length !== to.length || matchMedia("(prefers-reduced-motion: reduce)").matches
    const began = performance.now()
    cancelAnimationFrame(state.moving)
    const step = (now) => {
      const t = still ? 1 : Math.min(1, Math.max(0, now - began) / MORPH_MS), ease = t * t * (3 - 2 * t)
      state.current = t === 1 ? to : from.map((value, i) => value + (to[i] - value) * ease)
      state.fresh.places = true
      paint()
      if (t < 1) state.moving = requestAnimationFrame(step)
    }
    step(began)
  }
  const zoom = (by, x, y) => {
    const before = view(), rx = (x - before.w / 2) / before.px, ry = (y - before.h / 2) / before.px
    const was = look.view.zoom
    look.view.zoom = Math.min(200, Math.max(0.8, was * by))
    const now = look.view.zoom / was
    look.view.x += rx - rx / now
    look.view.y += ry - ry / now
    paint()
  }
  const move = (dx, dy) => {
    const { px } = view()
    look.view.x = Math.min(1.2, Math.max(-0.2, look.view.x - dx / px))
    look.view.y = Math.min(1.2, Math.max(-0.2, look.view.y - dy / px))
    paint()
  }
  const whole = () => { Object.assign(look.view, { x: 0.5, y: 0.5, zoom: 1 }); paint() }

  // -- choosing
  const choose = (found, more) => {
    look.chosen = new Set(more ? [...look.chosen, ...found] : found)
    find(".none").hidden = !look.chosen.size
    dress()
    setTriggerValue("chosen", [...look.chosen])
  }
  // Of a region the rarest classes come first: they are what does not belong there.
  const strangers = (found) => {
    const there = new Map()
    for (const i of found) there.set(state.label[i], (there.get(state.label[i]) ?? 0) + 1)
    return found.sort((a, b) => there.get(state.label[a]) - there.get(state.label[b]) || wrong(b) - wrong(a) || a - b)
  }
  const where = (test) => {
    const found = [], place = placing(view())
    for (let i = 0; i < n; i++) if (shown(i) && test(...place(i))) found.push(i)
    return strangers(found)
  }
  const seen = () => { const { w, h } = view(); return where((x, y) => x >= 0 && y >= 0 && x <= w && y <= h) }
  const near = (x, y, k, reach = Infinity) => {
    const found = [], place = placing(view())
    for (let i = 0; i < n; i++) {
      if (!shown(i)) continue
      const [px, py] = place(i), d = Math.hypot(px - x, py - y)
      if (d <= reach) found.push([d, i])
    }
    return found.sort((a, b) => a[0] - b[0]).slice(0, k).map(([, i]) => i)
  }
  const hex = (i) => Array.from(state.ids.subarray(32 * i, 32 * i + 32), (b) => b.toString(16).padStart(2, "0")).join("")
  const hover = (x, y) => {
    const [i] = near(x, y, 1, REACH_PX)
    if (i === undefined) { tip.hidden = true; state.hovered = -1; return }
    const at = view(), [px, py] = placing(at)(i), { w, h } = at
    if (state.hovered !== i) {
      state.hovered = i
      tip.querySelector("img").src = "/api/thumbnail/" + hex(i)
      tip.querySelector(".first").textContent = `${data.classes[state.label[i]]} \u00b7 ${data.parts[state.part[i]]}`
      tip.querySelector(".second").textContent = !tested(i) ? "" :
        fill(words.says, { what: data.classes[state.predicted[i]], sure: state.sure[i] })
    }
    tip.hidden = false
    tip.style.left = `${px + 150 > w ? Math.max(0, px - 144) : px + 12}px`
    tip.style.top = `${Math.max(2, Math.min(h - tip.offsetHeight - 2, py - 60))}px`
  }

  // -- pointers: one draws a line or moves, two zoom
  const local = (event) => { const box = over.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top] }
  over.onpointerdown = (event) => {
    over.setPointerCapture(event.pointerId)
    state.fingers.set(event.pointerId, local(event))
    state.line = state.fingers.size === 1 ? [local(event)] : []
    state.still = state.fingers.size === 1
    state.pinched ||= state.fingers.size > 1  // until all fingers are up nothing is drawn or chosen
    tip.hidden = true
  }
  over.onpointermove = (event) => {
    const [x, y] = local(event), before = state.fingers.get(event.pointerId)
    if (!before) { if (event.pointerType !== "touch") hover(x, y); return }
    if (state.fingers.size === 2) {
      const [other] = [...state.fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at)
      const span = ([ax, ay]) => Math.hypot(ax - other[0], ay - other[1]) || 1
      move((x - before[0]) / 2, (y - before[1]) / 2)
      zoom(span([x, y]) / span(before), (x + other[0]) / 2, (y + other[1]) / 2)
    } else if (!state.pinched && (Math.hypot(x - state.line[0]?.[0], y - state.line[0]?.[1]) > 4 || !state.still)) {
      state.still = false
      if (look.tool === "move" || event.buttons > 1) move(x - before[0], y - before[1])
      else { state.line.push([x, y]); paint() }
    } else if (!state.pinched) return
    state.fingers.set(event.pointerId, [x, y])
  }
  over.onpointerup = (event) => {
    if (!state.fingers.delete(event.pointerId) || state.fingers.size) return
    const { line, pinched } = state, more = event.shiftKey
    state.line = []
    state.pinched = false
    if (pinched) return paint()
    if (state.still) {
      const reach = event.pointerType === "touch" ? 2 * REACH_PX : REACH_PX
      if (near(...line[0], 1, reach).length) choose(near(...line[0], NEAREST), more)
    } else if (look.tool === "lasso" && line.length > 2) choose(where((x, y) => inside(x, y, line)), more)
    paint()
  }
  over.onpointercancel = (event) => {
    state.fingers.delete(event.pointerId)
    state.pinched &&= state.fingers.size > 0
    state.line = []
    paint()
  }
  over.onpointerleave = () => { tip.hidden = true; state.hovered = -1 }
  over.oncontextmenu = (event) => event.preventDefault()
  over.onwheel = (event) => {
    event.preventDefault()
    tip.hidden = true
    zoom(Math.exp(-event.deltaY / (event.deltaMode ? 20 : 400)), ...local(event))
  }
  over.onkeydown = (event) => {
    const { w, h } = view()
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key]
    if (step) move(...step)
    else if (event.key === "+" || event.key === "=") zoom(1.5, w / 2, h / 2)
    else if (event.key === "-") zoom(1 / 1.5, w / 2, h / 2)
    else if (event.key === "0") whole()
    else if (event.key === "Enter") choose(seen())
    else if (event.key === "Escape") choose([])
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  // -- what stands around it
  const button = (text, action, pressed) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text, onclick: action })
    if (pressed !== undefined) made.setAttribute("aria-pressed", pressed)
    return made
  }
  const switches = (name, label, options, current, set) => {
    find(name).setAttribute("aria-label", label)
    find(name).replaceChildren(...options.map((key) => {
      const made = button(words[key], () => { set(key); around() }, key === current)
      made.title = words[`${key}_title`] ?? ""
      return made
    }))
  }
  const mark = (color, cross) => {
    const made = document.createElement("span")
    made.className = cross ? "cross" : "dot"
    if (cross) { made.textContent = "\u00d7"; made.style.color = color } else made.style.background = color
    return made
  }
  const entry = (tag, signs, text) => {
    const made = document.createElement(tag), name = document.createElement("span")
    name.className = "name"
    name.textContent = name.title = text
    made.append(...signs, name)
    return made
  }
  const legend = () => {
    const tally = (test) => { let k = 0; for (let i = 0; i < n; i++) if (shown(i) && test(i)) k++; return k }
    const wrongs = tally(wrong), crossed = mark(css(look.color === "outcome" ? palette[1] : ink), true)
    const missed = entry("span", [crossed], fill(words.wrong, { n: wrongs }))
    const learned = entry("span", [mark(css(grey))], fill(words.learned, { n: tally((i) => !tested(i)) }))
    if (look.color === "part") {
      const sizes = data.parts.map((_, k) => tally((i) => state.part[i] === k))
      return data.parts.flatMap((name, k) => (sizes[k] ? [entry("span", [mark(css(palette[k]))], `${name} (${sizes[k]})`)] : []))
    }
    if (look.color === "outcome") {
      const right = fill(words.right, { n: tally((i) => tested(i) && !wrong(i)) })
      return [entry("span", [mark(css(palette[0]))], right), missed, learned]
    }
    if (look.color === "confidence") {
      const scale = document.createElement("span")
      scale.className = "scale"
      scale.style.background = `linear-gradient(90deg, ${ramp.map(css).join(", ")})`
      return [entry("span", [scale], words.scale), missed, learned]
    }
    const chips = present.map((k) => {
      const chip = entry("button", [mark(css(slot(k) < 0 ? grey : palette[slot(k) % palette.length]))], `${data.classes[k]} (${counts[k]})`)
      chip.type = "button"
      chip.setAttribute("aria-pressed", many || look.picked.length ? look.picked.includes(k) : true)
      chip.onclick = () => { pick(k); around() }
      return chip
    })
    return wrongs ? [...chips, missed] : chips
  }
  const around = () => {
    switches(".colors", words.colors, ["class", "part", "outcome", "confidence"], look.color, (key) => { look.color = key })
    switches(".layouts", words.layouts, names, look.layout, (key) => { whole(); lay(key) })
    switches(".tools", words.tools, ["lasso", "move"], look.tool, (key) => { look.tool = key })
    find(".layouts").hidden = names.length < 2
    over.classList.toggle("move", look.tool === "move")
    find(".legend").replaceChildren(...legend())
    find(".legend").setAttribute("aria-label", words.legend)
    dress()
  }
  const zooms = [["+", words.closer, () => zoom(1.5, view().w / 2, view().h / 2)],
    ["\u2212", words.farther, () => zoom(1 / 1.5, view().w / 2, view().h / 2)], [words.whole, words.whole, whole]]
  find(".zooms").replaceChildren(...zooms.map(([text, name, action]) => {
    const made = button(text, action)
    made.setAttribute("aria-label", name)
    return made
  }))
  Object.assign(find(".view"), { textContent: words.view, onclick: () => choose(seen()) })
  Object.assign(find(".none"), { textContent: words.none, onclick: () => choose([]), hidden: !look.chosen.size })
  over.setAttribute("role", "application")
  over.setAttribute("aria-label", words.keys)
  state.paint = paint
  state.watch ??= new ResizeObserver(() => state.paint())
  state.watch.observe(frame)
  if (state.current !== state.places[look.layout]) lay(look.layout)
  look.chosen = new Set([...look.chosen].filter(shown))
  around()
}
