// Draws points by the thousand in one call of WebGL 2. No library: those that draw with WebGL make functions out of
// texts, which our content security policy does not let run.
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

// Answers a function that draws a scene (places, colors, looks, order, ink) in a projection, or null where there is no
// WebGL 2. `fresh` says what of the scene is new since the last call.
export function webgl(canvas) {
  const gl = canvas.getContext("webgl2", { premultipliedAlpha: true, antialias: false })
  const program = gl && compile(gl)
  if (!program) return null
  const place = attribute(gl, program, "place", 2, gl.FLOAT, false)
  const color = attribute(gl, program, "color", 4, gl.UNSIGNED_BYTE, true)
  const look = attribute(gl, program, "look", 1, gl.UNSIGNED_BYTE, false)
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer())
  const uniforms = ["center", "scale", "size", "ink"].map((name) => gl.getUniformLocation(program, name))
  return (scene, at, fresh) => {
    if (fresh.places) place(scene.places)
    if (fresh.looks) {
      color(scene.colors)
      look(scene.looks)
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, scene.order, gl.DYNAMIC_DRAW)
    }
    drawPoints(gl, uniforms, scene, at)
  }
}

function compile(gl) {
  const program = gl.createProgram()
  for (const [kind, text] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ]) {
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
  return program
}

// Answers a function that sends the values of one attribute to the graphics card.
function attribute(gl, program, name, size, type, normalized) {
  const buffer = gl.createBuffer()
  const where = gl.getAttribLocation(program, name)
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer)
  gl.enableVertexAttribArray(where)
  gl.vertexAttribPointer(where, size, type, normalized, 0, 0)
  return (values) => {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer)
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW)
  }
}

function drawPoints(gl, [center, scale, size, ink], scene, at) {
  gl.viewport(0, 0, gl.canvas.width, gl.canvas.height)
  gl.clearColor(0, 0, 0, 0)
  gl.clear(gl.COLOR_BUFFER_BIT)
  gl.uniform2f(center, at.x, at.y)
  gl.uniform2f(scale, (2 * at.px) / at.w, (-2 * at.px) / at.h)
  gl.uniform1f(size, at.size * at.ratio)
  gl.uniform3f(ink, ...scene.ink.map((value) => value / 255))
  gl.drawElements(gl.POINTS, scene.order.length, gl.UNSIGNED_INT, 0)
}
