/** What is known of a host at one moment: its objects, its ledger, its facts. */
import { kinds, type Objects, type Value } from "../kinds";
import { fact, lines, type Probe, probeOf } from "../kinds/probe";
import { type Claim, type Ledger, type LedgerFile, ownerIn, parseLedger, UnreadableLedger } from "./ledger";

export interface HostState {
    readonly probe: Probe;
    /** Value by key, by kind. */
    readonly objects: Objects;
    readonly ledger: Ledger;
    /** Files that could not be read, by name. */
    readonly unreadable: ReadonlyMap<string, UnreadableLedger>;
    /** Whether there is a ledger on the host at all. */
    readonly hasLedger: boolean;
    /** The checksum of what decisions rest on. */
    readonly sum: string;
    /** When it was taken, by this machine's clock, in milliseconds. */
    readonly takenAt: number;
    /** The sections of the last probe that asked for everything, and when that was. */
    readonly informing: Record<string, string>;
    readonly clockAt: number;
}

/** Reads the wire format of `lvs_emit`: sections, each behind a line with the run's nonce. */
export function parseSections(text: string, nonce: string): Record<string, string> {
    const sections: Record<string, string> = {};
    for (const part of text.split(`\n${nonce} `).slice(1)) {
        const end = part.indexOf("\n");
        if (end < 0) sections[part] = "";
        else sections[part.slice(0, end)] = part.slice(end + 1);
    }
    return sections;
}

/** A state from a probe's sections; `known`: an earlier one, for what was not asked again. */
export function parseState(sections: Record<string, string>, sum: string, known?: HostState): HostState {
    const informed = "facts" in sections;
    const probe = probeOf(informed ? sections : { ...known?.informing, ...sections });
    const texts = new Map<string, string>();
    for (const line of lines(probe, "ledger")) {
        const match = /^(?:[^:]*\/)?([^/:]+\.claims):(.*)$/.exec(line);
        if (match !== null) texts.set(match[1]!, `${texts.get(match[1]!) ?? ""}${match[2]}\n`);
    }
    const ledger = new Map<string, LedgerFile>();
    const unreadable = new Map<string, UnreadableLedger>();
    for (const [name, text] of texts) {
        try {
            ledger.set(name, parseLedger(name, text));
        } catch (error) {
            if (!(error instanceof UnreadableLedger)) throw error;
            unreadable.set(name, new UnreadableLedger(name, error.reason, ownerIn(text)));
        }
    }
    return {
        probe,
        objects: new Map(kinds.map((kind) => [kind.name, kind.read(probe)])),
        ledger,
        unreadable,
        hasLedger: lines(probe, "ledgerdir").length > 0,
        sum,
        takenAt: Date.now(),
        informing: informed ? sections : (known?.informing ?? {}),
        clockAt: informed ? Date.now() : (known?.clockAt ?? Date.now()),
    };
}

/** The time on the host's own clock now, in seconds. */
export function hostTime(state: HostState): number {
    return Number(fact(state.probe, "now") ?? 0) + Math.floor((Date.now() - state.clockAt) / 1000);
}

/** An object's value on the host; undefined: not there. */
export function valueAt(state: { objects: Objects }, kind: string, key: string): Value | undefined {
    return state.objects.get(kind)?.get(key);
}

/** The identity of the machine, as ledgers keep it. */
export function machineOf(state: HostState): string {
    return fact(state.probe, "machine") ?? "";
}

/** A claim with the file that makes it. */
export interface Holding {
    name: string;
    file: LedgerFile;
    claim: Claim;
}

/** Who claims an object, the newest first. */
export function holders(ledger: Ledger, kind: string, key: string): Holding[] {
    const found: Holding[] = [];
    for (const [name, file] of ledger) {
        const claim = file.claims.find((each) => each.kind === kind && each.key === key);
        if (claim !== undefined) found.push({ name, file, claim });
    }
    return found.sort((a, b) => b.file.sequence - a.file.sequence);
}

/** The destinations whose real servers an operator has put under maintenance: those that any file marks. */
export function underMaintenance(ledger: Iterable<readonly [string, LedgerFile | undefined]>): Set<string> {
    return new Set([...ledger].flatMap(([, file]) => file?.maintenance ?? []));
}
