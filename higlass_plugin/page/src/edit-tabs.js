// The edits that are open, as tabs: one of them is shown beside the reference.

import { button, element, made } from "./dom.js";

/** Draws the tabs. `on` has what is done: open(edit), close(edit), stop(edit, n). */
export function drawTabs(opened, shown, on) {
  element("edits").hidden = !opened.length;
  element("edits").replaceChildren(
    ...opened.map((edit) => {
      const { stops = [], stop = 0 } = edit;
      const isShown = edit.id === shown;
      const name = button(edit.name, isShown ? `Go to ${edit.name}` : `Show ${edit.name}`, () => on.open(edit));
      name.className = "name";
      const steps = [
        button("‹", "Previous breakpoint", () => on.stop(edit, stop - 1)),
        made("span", { className: "stop", title: "Breakpoints of this edit", textContent: `${stop + 1}/${stops.length}` }),
        button("›", "Next breakpoint", () => on.stop(edit, stop + 1)),
      ];
      const link = made("a", { href: `?view=${encodeURIComponent(edit.viewconf)}`, textContent: "link", title: "A link to this edit alone" });
      const tab = made("li", {}, name, ...(isShown && stops.length > 1 ? steps : []), ...(isShown ? [link] : []), button("×", "Close", () => on.close(edit)));
      tab.classList.toggle("shown", isShown);
      if (isShown) tab.setAttribute("aria-current", "true");
      return tab;
    }),
  );
}
