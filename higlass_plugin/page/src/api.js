// Requests to the server that the page came from. Paths are relative, so the page also works below a prefix.

/** What the server said no to, or that it did not answer at all (`status` 0); `message` is text to show. */
export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The JSON that a path of the API answers with; with a body a POST, else a GET, unless a method is given. */
export async function request(path, { body, method = body === undefined ? "GET" : "POST" } = {}) {
  let response;
  try {
    response = await fetch(new URL(`api/v1/${path}`, document.baseURI), {
      method,
      headers: { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ServerError("the server does not answer", 0);
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new ServerError(answer.error || `the server answered ${response.status}`, response.status);
  return answer;
}
