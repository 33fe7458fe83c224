// What anywidget loads for every map in a notebook. HiGlass (notebook.js, 3 MB) is asked of the kernel once a page, through the widget's own
// connection: nothing is fetched from the internet, nor from a port that a proxy would have to know.

const bundles = (globalThis.orcaCoolBundles ??= new Map()); // digest of a bundle -> promise of its module

/** The bundle's bytes, as the kernel answers them. */
function bytes(model) {
  return new Promise((resolve, reject) => {
    const id = `bundle-${Math.random()}`;
    const receive = (message, buffers) => {
      if (message.id !== id) return;
      model.off("msg:custom", receive);
      if (message.error) reject(new Error(message.error));
      else resolve(buffers[0]);
    };
    model.on("msg:custom", receive);
    model.send({ id, kind: "bundle" });
  });
}

async function load(model) {
  const url = URL.createObjectURL(new Blob([await bytes(model)], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
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
