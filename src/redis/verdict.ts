/** What is decided on a call, as a number so that nothing is allocated: 0 or more is a refusal for so many milliseconds. */
export const passed = -1;

/** Only Redis can say. */
export const unknown = -2;
