// Where a trace begins: each request names one of its own (W3C Trace Context), which the service, its
// agent and Docker Engine go on with. Its id is the id of the request too: what an error shows leads to
// the log and to the trace.

const digits = (bytes) =>
  Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (one) => one.toString(16).padStart(2, "0")).join("");

/** Return a new trace; one of what somebody does here is asked to be kept, not what a page reads. */
export function newTrace(keep) {
  const id = digits(16);
  return { id, parent: `00-${id}-${digits(8)}-${keep ? "01" : "00"}` };
}

/** Return the headers of a request that is part of a trace. */
export const traceHeaders = ({ id, parent }) => ({ traceparent: parent, "X-Request-ID": id });
