// Small things of the document: elements by id, buttons, messages.

export const element = (id) => document.getElementById(id);

/** An element with properties and children. */
export function made(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Shows a line to the user; nothing hides it. */
export function say(text) {
  element("message").textContent = text ?? "";
  element("message").hidden = !text;
}

/** Runs what a user asked for; what goes wrong is told in words. */
export function attempt(action) {
  return async (event) => {
    event?.preventDefault?.();
    try {
      say(null);
      return await action(event);
    } catch (error) {
      say(error.message);
      return undefined;
    }
  };
}

export function button(text, title, action) {
  const found = made("button", { type: "button", textContent: text, title });
  if (!/\w/.test(text)) found.setAttribute("aria-label", title); // a sign, which is not read out as what it does
  found.addEventListener("click", attempt(action));
  return found;
}
