// Requests to the server that the page came from. Paths are relative, so the page also works below a prefix.

/** What the server said no to, or that it did not answer at all (`status` 0); `message` is text to show. */
export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The JSON that a path of the API answers with; with a body a POST, else a GET, unless a method is given. */
export async function request(path, { body, method = body === undefined ? "GET" : "POST", signal } = {}) {
  const response = await ask(path, {
    method,
    headers: { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
  });
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw refusal(response, answer);
  return answer;
}

/** The file that a path of the API answers with: {blob, name}. */
export async function download(path, signal) {
  const response = await ask(path, { signal });
  if (!response.ok) throw refusal(response, await response.json().catch(() => ({})));
  const [, name = ""] = /filename="?([^";]+)/.exec(response.headers.get("content-disposition") ?? "") ?? [];
  return { blob: await response.blob(), name };
}

let session = "";

/** HiGlass tells the server its session with every request for tiles, by which the server shares out its time: what takes its time too tells the same. */
export function noteSession(url) {
  session ||= new URL(String(url), document.baseURI).searchParams.get("s") ?? "";
}

const LONG = /^(scores|compare|download)\//;

async function ask(path, options) {
  const url = new URL(`api/v1/${path}`, document.baseURI);
  if (session && LONG.test(path)) url.searchParams.set("s", session);
  try {
    return await fetch(url, options);
  } catch (error) {
    if (options.signal?.aborted) throw error; // nobody wants to know any more
    throw new ServerError("the server does not answer", 0);
  }
}

const refusal = ({ status }, { error }) => new ServerError(error || `the server answered ${status}`, status);
