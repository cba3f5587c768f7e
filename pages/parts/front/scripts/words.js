// Fills the {placeholders} of a text with values by their names.
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name])
