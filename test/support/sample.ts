/** How much of a test that is drawn by chance is run: a seeded sample in `npm test`, everything with LVS_EXHAUSTIVE=1. */

export const exhaustive = process.env["LVS_EXHAUSTIVE"] === "1";

/** FC_SEED draws other cases. */
export const seed = Number(process.env["FC_SEED"] ?? 20_261_127);

/** Seconds for what goes on until its time is over; LVS_SECONDS gives it another time. */
export const seconds = (sample: number): number => Number(process.env["LVS_SECONDS"] ?? (exhaustive ? 36_000 : sample));

/** LVS_PART=3/40: every fortieth, from the third on (the first is 0), so that runs on several days make a whole. */
const [nth, parts] = (process.env["LVS_PART"] ?? "0/1").split("/").map(Number) as [number, number];

export const inPart = <T>(all: T[]): T[] => all.filter((_, index) => index % parts === nth);
