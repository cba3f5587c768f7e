// The elements of the page, by their ids, and new ones.

export const at = (id) => document.getElementById(id)

// Makes an element with properties (as in JavaScript, not as in HTML) and children.
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}
