// Light or dark: what the browser asks for, or what was chosen in the menu, which is remembered where that is allowed. A script of its own, because it runs
// before anything is drawn, and on pages without HiGlass.

const KEY = "orca-cool-theme";
const root = document.documentElement;

function remembered() {
  try {
    return window.localStorage.getItem(KEY);
  } catch {
    return null; // storage may be forbidden: then the choice holds until the page is left
  }
}

function wear(choice) {
  if (choice === "light" || choice === "dark") root.dataset.theme = choice;
  else delete root.dataset.theme;
}

function choose(choice) {
  try {
    window.localStorage.setItem(KEY, choice);
  } catch {
    // as above
  }
  wear(choice);
  document.dispatchEvent(new Event("themechange"));
}

wear(remembered());
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));
window.addEventListener("storage", ({ key, newValue }) => {
  if (key !== KEY) return; // chosen in another tab
  wear(newValue);
  const menu = document.getElementById("theme");
  if (menu) menu.value = root.dataset.theme ?? "auto";
  document.dispatchEvent(new Event("themechange"));
});
document.addEventListener("DOMContentLoaded", () => {
  const menu = document.getElementById("theme");
  menu.value = root.dataset.theme ?? "auto";
  menu.addEventListener("change", () => choose(menu.value));
});
