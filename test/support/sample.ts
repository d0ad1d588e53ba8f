/** How much of a test that is drawn by chance is run: a seeded sample in `npm test`, everything with LVS_EXHAUSTIVE=1. */

export const exhaustive = process.env["LVS_EXHAUSTIVE"] === "1";

/** FC_SEED draws other cases. */
export const seed = Number(process.env["FC_SEED"] ?? 20_261_127);

/** Seconds for what goes on until its time is over; LVS_SECONDS gives it another time. */
export const seconds = (sample: number): number => Number(process.env["LVS_SECONDS"] ?? (exhaustive ? 36_000 : sample));
