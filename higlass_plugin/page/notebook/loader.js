// What anywidget loads for every map in a notebook. HiGlass (higlass.js, 3 MB) and what draws with it (notebook.js) are asked of the kernel once a
// page, through the widget's own connection: nothing is fetched from the internet, nor from a port that a proxy would have to know.

const bundles = (globalThis.orcaCoolBundles ??= new Map()); // digest of both files -> promise of the module

/** The two files' bytes, as the kernel answers them. */
function files(model) {
  return new Promise((resolve, reject) => {
    const id = `bundle-${Math.random()}`;
    const receive = (message, buffers) => {
      if (message.id !== id) return;
      model.off("msg:custom", receive);
      if (message.error) reject(new Error(message.error));
      else resolve(buffers);
    };
    model.on("msg:custom", receive);
    model.send({ id, kind: "bundle" });
  });
}

async function load(model) {
  const made = [];
  const address = (script) => made[made.push(URL.createObjectURL(new Blob([script], { type: "text/javascript" }))) - 1];
  try {
    const [higlass, own] = await files(model);
    // a module that has no address of its own can import none by a relative one
    const text = new TextDecoder().decode(own).replaceAll('"./higlass.js"', JSON.stringify(address(higlass)));
    return await import(address(text));
  } finally {
    made.forEach((url) => URL.revokeObjectURL(url));
  }
}

/** The bundle's module; maps of a page that were made by the same version share it. */
function bundle(model) {
  const digest = model.get("_bundle");
  if (!bundles.has(digest)) {
    const loading = load(model);
    loading.catch(() => bundles.delete(digest)); // the next map tries again
    bundles.set(digest, loading);
  }
  return bundles.get(digest);
}

export default {
  async render({ model, el }) {
    el.textContent = "The map appears when the kernel is idle.";
    try {
      const { show } = await bundle(model);
      el.textContent = "";
      return await show({ model, el });
    } catch (error) {
      el.textContent = `The map cannot be shown: ${error.message}`;
      throw error;
    }
  },
};
