/**
 * Maintenance by hand: a real server gets no new connections until that is taken back, whatever its stacks declare. The
 * mark stands in each ledger file that claims a destination of it, so every update, every refresh and the next boot know.
 */
import { kernelAddress } from "../ipvs/address";
import { parseDestinationKey } from "../ipvs/model";
import { kindOf, type Value } from "../kinds";
import type { Ledger } from "./ledger";
import {
    atRest,
    type FileChanges,
    leaving,
    makeStep,
    marked,
    type Plan,
    project,
    refuseUnreadable,
    satisfied,
} from "./plan";
import { type HostState, holders, underMaintenance, valueAt } from "./state";

/** A real server on the command line: its address, and its port where only that one is meant. */
export interface RealServerPlace {
    address: string;
    port?: number;
}

/** Whether a destination is one of this real server. */
export function isAt(key: string, { address, port }: RealServerPlace): boolean {
    const at = parseDestinationKey(key, kernelAddress);
    return at.address === address && (port === undefined || at.port === port);
}

/** The destinations of a real server that the ledger claims. */
export function claimedAt(ledger: Ledger, place: RealServerPlace): string[] {
    const keys = [...ledger.values()].flatMap(({ claims }) =>
        claims.filter(({ kind, key }) => kind === "destination" && isAt(key, place)).map(({ key }) => key),
    );
    return [...new Set(keys)].sort();
}

/**
 * Marks every claimed destination of a real server and sets its weight to 0 in place; or takes the mark away and gives
 * back the weight that its newest claim declares. The rest of the rule stays as the kernel has it.
 */
export function planMaintenance(host: string, place: RealServerPlace, begins: boolean, state: HostState): Plan {
    refuseUnreadable(host, state, false);
    const marks = underMaintenance(state.ledger);
    // What is not under maintenance has no weight to be given back: somebody else may move it.
    const keys = claimedAt(state.ledger, place).filter((key) => begins || marks.has(key));
    for (const key of keys) {
        if (begins) marks.add(key);
        else marks.delete(key);
    }
    const concerned = [...state.ledger].filter(([, { claims }]) =>
        claims.some(({ kind, key }) => kind === "destination" && keys.includes(key)),
    );
    const files: FileChanges = new Map(concerned.map(([name, file]) => [name, marked(file, marks)]));
    const row = kindOf("destination");
    const goals: Plan["goals"] = [];
    const steps = keys.flatMap((key) => {
        const have = valueAt(state, "destination", key);
        if (have === undefined) return [];
        const declared = holders(state.ledger, "destination", key)[0]!.claim.value;
        const value: Value = begins ? atRest(have) : leaving({ value: have, leave: ["weight"] }, declared);
        goals.push({ kind: "destination", key, value });
        return satisfied("destination", key, value, have)
            ? []
            : [
                  makeStep(
                      "destination",
                      key,
                      have,
                      value,
                      row.set(key, value, have),
                      false,
                      begins ? "drain" : "undrain",
                  ),
              ];
    });
    return {
        steps,
        during: files,
        afterwards: files,
        notes: [],
        partial: false,
        pending: 0,
        next: project(state, steps, files),
        goals,
    };
}
