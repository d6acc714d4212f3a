/** W3C Trace Context, `trace-flags`: the trace is kept. */
export const sampledFlag = 1;
/** Level 2 of W3C Trace Context: the last seven bytes of the trace id are random. */
export const randomFlag = 2;
